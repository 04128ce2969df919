#include "tests/support/database.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include <libpq-fe.h>
#include <unistd.h>

#include "storage/migrate.h"

namespace capf::test {
namespace {

[[noreturn]] void give_up(const std::string& words) {
  std::fprintf(stderr, "test database: %s\n", words.c_str());
  std::abort();
}

std::string cluster() {
  if (const char* conninfo = std::getenv("CAPF_TEST_DATABASE")) return conninfo;
  const char* path = std::getenv("CAPF_TEST_ENDPOINT");
  if (path == nullptr) give_up("neither CAPF_TEST_DATABASE nor CAPF_TEST_ENDPOINT is set: run it by ctest");
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) give_up(std::string("no endpoint in ") + path + ": is the cluster running?");
  return line;
}

std::string conninfo_of(const std::string& database, const std::string& role) {
  return cluster() + " dbname=" + database + " user=" + role;
}

/// A libpq connection of the tests' own, so that they look at the database without the code under test.
class Link {
 public:
  explicit Link(const std::string& conninfo) : link_(PQconnectdb(conninfo.c_str())) {
    if (PQstatus(link_) != CONNECTION_OK) {
      const std::string words = PQerrorMessage(link_);
      PQfinish(link_);
      throw std::runtime_error(words);
    }
    run("set client_min_messages = warning");
  }
  ~Link() { PQfinish(link_); }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  std::string run(const std::string& text) {
    PGresult* result = PQexec(link_, text.c_str());
    const ExecStatusType status = PQresultStatus(result);
    const bool done = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    std::string answer = PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "";
    if (!done) answer = PQresultErrorMessage(result);
    PQclear(result);
    if (!done) throw std::runtime_error(answer);
    return answer;
  }

 private:
  PGconn* link_;
};

/// Made once in the cluster's life by the first test program, for exactly these migrations.
std::string migrated_template(Link& postgres) {
  const std::string name = "capf_" + std::string(storage::migrations().back().sha256).substr(0, 32);
  postgres.run("select pg_advisory_lock(1)");
  if (postgres.run("select count(*) from pg_database where datname = '" + name + "'") == "0") {
    const std::string making = name + "_new";
    postgres.run("drop database if exists " + making);
    postgres.run("create database " + making + " owner capf_owner");
    if (const auto status = storage::migrate(conninfo_of(making, "capf_owner")); !status) {
      give_up(status.error().message + ": " + status.error().cause);
    }
    postgres.run("alter database " + making + " rename to " + name);
  }
  postgres.run("select pg_advisory_unlock(1)");
  return name;
}

}  // namespace

FreshDatabase::FreshDatabase(Schema schema) {
  static std::atomic<int> count{0};
  name_ = "test_" + std::to_string(::getpid()) + "_" + std::to_string(++count);
  try {
    Link postgres(conninfo_of("postgres", "postgres"));
    const std::string from = schema == Schema::kMigrated ? migrated_template(postgres) : "template0";
    postgres.run("drop database if exists " + name_);
    postgres.run("create database " + name_ + " owner capf_owner template " + from);
  } catch (const std::exception& error) {
    give_up(error.what());
  }
}

FreshDatabase::~FreshDatabase() {
  try {
    Link(conninfo_of("postgres", "postgres")).run("drop database if exists " + name_ + " with (force)");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "test database: %s\n", error.what());
  }
}

std::string FreshDatabase::conninfo(const std::string& role) const { return conninfo_of(name_, role); }

std::unique_ptr<storage::PostgresDatabase> FreshDatabase::open(int connections) const {
  // A machine may stand still for some seconds. Nobody's patience ends meanwhile, unless the test is about that. The
  // one for locks is shorter than the minute after which a test lets PostgreSQL look for deadlocks.
  storage::DatabaseSettings patient{.connections = connections, .wait = std::chrono::seconds(30)};
  patient.limits.lock = std::chrono::seconds(30);
  patient.limits.statement = std::chrono::seconds(45);
  patient.limits.idle_in_transaction = std::chrono::seconds(60);
  return open(std::move(patient));
}

std::unique_ptr<storage::PostgresDatabase> FreshDatabase::open(storage::DatabaseSettings settings) const {
  settings.conninfo = conninfo();
  auto database = storage::PostgresDatabase::open(settings);
  if (!database) give_up(database.error().message);
  return *std::move(database);
}

std::string FreshDatabase::sql(const std::string& text, const std::string& role) const {
  return Link(conninfo(role)).run(text);
}

std::string FreshDatabase::statistics(const std::string& text) const {
  const std::string sessions = "select count(*) from pg_stat_activity where datname = current_database()";
  for (int looks = 0; sql(sessions, "postgres") != "1" && looks < 10'000; ++looks) {
  }
  return sql(text);
}

}  // namespace capf::test
