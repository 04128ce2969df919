#include <future>
#include <regex>
#include <set>

#include <pqxx/transaction>

#include "storage/conninfo.h"
#include "storage/link.h"
#include "storage/migrate.h"
#include "tests/storage/samples.h"

// Migrations that run while servers do.

namespace capf::test {
namespace {

using namespace std::chrono_literals;
using storage::beside_from;
using storage::check_schema;
using storage::migrate;
using storage::Migration;
using storage::Patience;

constexpr Migration kFirst{1, "first", "aa",
                           "create table one (id int); insert into one values (1), (1); "
                           "grant select on schema_migrations to capf_server"};
constexpr Migration kWider{2, "wider", "bb",
                           "-- beside servers from migration 1 on\n"
                           "-- Two steps.\n\n"
                           "create table two (id int);\n\n"
                           "alter table one add column a int;\n"};
constexpr Migration kUnique{2, "unique", "cc",
                            "-- beside servers from migration 1 on\n\n"
                            "create unique index concurrently one_id on one (id);\n"};

constexpr Patience kShort{.lock = 50ms, .pause = 0ms, .tries = 2};
constexpr Patience kLong{.lock = 100ms, .pause = 10ms, .tries = 300};

const std::vector<Migration> kOld{kFirst};
const std::vector<Migration> kNew{kFirst, kWider};

/// A database with the first migration.
struct Started : FreshDatabase {
  Started() : FreshDatabase(Schema::kNone) { good(migrate(owner, kOld)); }
  const std::string owner = conninfo("capf_owner");
};

/// A transaction that has read `one`, so that nobody can alter it.
class Reader {
 public:
  explicit Reader(const Started& database) : link_(good(storage::link_settings(database.owner, {}))), reading_(link_) {
    reading_.exec("select from one");
  }
  void leave() { reading_.abort(); }

 private:
  storage::Link link_;
  pqxx::work reading_;
};

std::future<Status> migrating(const Started& database) {
  return std::async(std::launch::async, [&database] { return migrate(database.owner, kNew, kLong); });
}

bool ended(const std::future<Status>& future) { return future.wait_for(0s) == std::future_status::ready; }

TEST_CASE("a step that does not get its lock is tried again, and done when the holder leaves") {
  const Started database;
  Reader reader(database);
  std::future<Status> migration = migrating(database);
  // Each try is a transaction of its own.
  std::set<std::string> tries;
  while (tries.size() < 2 && !ended(migration)) {
    const std::string began = database.sql(
        "select min(xact_start) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        "postgres");
    if (!began.empty()) tries.insert(began);
  }
  CHECK(tries.size() == 2);
  reader.leave();
  good(migration.get());
  good(check_schema(database.conninfo(), kNew));
  CHECK(database.sql("select count(a) from one") == "0");
}

TEST_CASE("a step that never gets its lock ends with what to do, and leaves the schema to the servers that run") {
  const Started database;
  Reader reader(database);
  const Status status = migrate(database.owner, kNew, kShort);
  REQUIRE_FALSE(status);
  CHECK(status.error().reason == Reason::kOverloaded);
  CHECK_THAT(status.error().message, Catch::Contains("step 2") && Catch::Contains("run 'capfd migrate' again"));
  good(check_schema(database.conninfo(), kOld));
  reader.leave();
  good(migrate(database.owner, kNew, kShort));
}

TEST_CASE("a migration that is cut off between two steps goes on with the second one") {
  const Started database;
  Reader reader(database);
  std::future<Status> migration = migrating(database);
  while (!ended(migration)) {
    database.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and "
        "wait_event_type = 'Lock'",
        "postgres");
  }
  const Status cut_off = migration.get();
  REQUIRE_FALSE(cut_off);
  CHECK(cut_off.error().reason == Reason::kDatabaseUnavailable);
  CHECK(database.sql("select string_agg(version || '.' || step, ' ') from schema_steps") == "2.1");
  reader.leave();
  good(migrate(database.owner, kNew));  // the first step would fail
  CHECK(database.sql("select count(*) from schema_steps") == "0");
  good(check_schema(database.conninfo(), kNew));
}

TEST_CASE("a migration that was begun with another text is not gone on with") {
  const Started database;
  Reader reader(database);
  CHECK_FALSE(migrate(database.owner, kNew, kShort));
  Migration edited = kWider;
  edited.sha256 = "bc";
  const Status status = migrate(database.owner, std::vector{kFirst, edited}, kShort);
  REQUIRE_FALSE(status);
  CHECK(status.error().reason == Reason::kSchemaMismatch);
  CHECK_THAT(status.error().message, Catch::Contains("another text"));
}

TEST_CASE("what is left of an index that was being built is built again") {
  const Started database;
  const std::vector<Migration> unique{kFirst, kUnique};
  const std::string valid = "select indisvalid from pg_index where indexrelid = 'one_id'::regclass";
  CHECK_FALSE(migrate(database.owner, unique));  // one has the same row twice
  CHECK(database.sql(valid) == "f");
  database.sql("delete from one");
  good(migrate(database.owner, unique));
  CHECK(database.sql(valid) == "t");
  good(check_schema(database.conninfo(), unique));
}

TEST_CASE("an index that is built and not yet on record is not built twice") {
  const Started database;
  database.sql("delete from one; create unique index one_id on one (id)");
  const std::string identity = "select 'one_id'::regclass::oid";
  const std::string before = database.sql(identity);
  good(migrate(database.owner, std::vector{kFirst, kUnique}));
  CHECK(database.sql(identity) == before);
}

TEST_CASE("a server of the schema before starts beside a migration that names it, and no older one") {
  const Started database;
  good(migrate(database.owner, kNew));
  good(check_schema(database.conninfo(), kOld));
  good(migrate(database.owner, kOld));  // and there is nothing to do for it
  constexpr Migration kLater{3, "later", "dd",
                             "-- beside servers from migration 2 on\n\n"
                             "drop table two;\n"};
  good(migrate(database.owner, std::vector{kFirst, kWider, kLater}));
  good(check_schema(database.conninfo(), kNew));
  const Status older = check_schema(database.conninfo(), kOld);
  REQUIRE_FALSE(older);
  CHECK_THAT(older.error().message, Catch::Contains("update the program"));
}

TEST_CASE("a migration beside servers drops one index a step, and builds none that writers would wait for") {
  CHECK_FALSE(beside_from(kFirst));
  CHECK(beside_from(kWider) == 1);
  const std::regex kBlocking("create (unique )?index (?!concurrently)[a-z_]+ on ([a-z_]+)");
  const std::regex kDropsTwo("drop index [^;]*(,|;\n(?!\n)[^;]*drop index)");
  CHECK(std::regex_search("create index a on b (c)", kBlocking));
  CHECK(std::regex_search("drop index a;\ndrop index b;", kDropsTwo));
  int beside = 0;
  for (const Migration& migration : storage::migrations()) {
    if (!beside_from(migration)) continue;
    INFO(migration.name);
    ++beside;
    const std::string text(migration.text);
    for (std::sregex_iterator made(text.begin(), text.end(), kBlocking), end; made != end; ++made) {
      INFO((*made)[2]);
      CHECK(text.find("create table " + (*made)[2].str() + " (") != std::string::npos);  // nobody writes it yet
    }
    CHECK_FALSE(std::regex_search(text, kDropsTwo));
  }
  CHECK(beside > 0);
}

}  // namespace
}  // namespace capf::test
