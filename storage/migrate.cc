#include "storage/migrate.h"

#include <chrono>
#include <vector>

#include <pqxx/nontransaction>
#include <pqxx/transaction>

#include "storage/conninfo.h"
#include "storage/session.h"

namespace capf::storage {
namespace {

// A migration of a large site takes its time, and a second migration is meant to wait.
constexpr SessionLimits kLimits{std::chrono::hours{24}, std::chrono::hours{1}, std::chrono::hours{24}};

struct Applied {
  int version;
  std::string sha256;
};

template <class Action>
Status over_connection(const std::string& conninfo, Action action) {
  CAPF_LET(const auto settings, link_settings(conninfo, kLimits));
  std::unique_ptr<Connection> connection;
  try {
    connection = std::make_unique<Connection>(settings);
    CAPF_TRY(check_pooler(connection->link, settings));
    return action(connection->link);
  } catch (...) {
    const bool connected = connection != nullptr && connection->link.is_open();
    return tl::unexpected<Error>(fault_of(std::current_exception(), connected, Phase::kWork).error);
  }
}

/// The migrations that the database has; empty where it is new.
std::vector<Applied> read_applied(Link& link) {
  pqxx::nontransaction query(link);
  std::vector<Applied> applied;
  if (query.exec1("select to_regclass('schema_migrations') is null")[0].as<bool>()) return applied;
  for (const pqxx::row& row : query.exec("select version, sha256 from schema_migrations order by version")) {
    applied.push_back({row[0].as<int>(), row[1].as<std::string>()});
  }
  return applied;
}

/// The applied migrations must be a prefix of this program's.
Status check_known(const std::vector<Applied>& applied, std::span<const Migration> steps) {
  for (std::size_t i = 0; i < applied.size(); ++i) {
    if (i >= steps.size()) {
      return fail(Reason::kSchemaMismatch, "the database's schema is newer than this program (migration " +
                                               std::to_string(applied[i].version) + " of " +
                                               std::to_string(steps.size()) + "): update the program");
    }
    if (applied[i].version != steps[i].version || applied[i].sha256 != steps[i].sha256) {
      return fail(Reason::kSchemaMismatch, "migration " + std::to_string(steps[i].version) +
                                               " in the database is not this program's: it was edited after it was "
                                               "applied, or the database belongs to another program");
    }
  }
  return {};
}

constexpr char kMakeTable[] =
    "create table if not exists schema_migrations (version integer primary key check (version > 0), name text not "
    "null, "
    "sha256 text not null, applied_at timestamptz not null default now())";

Status apply_missing(Link& link, std::span<const Migration> steps) {
  {
    // Held until the connection closes.
    pqxx::nontransaction(link).exec("select pg_advisory_lock(hashtext('capf'), hashtext('migrate'))");
  }
  const auto applied = read_applied(link);
  CAPF_TRY(check_known(applied, steps));
  for (const Migration& step : steps.subspan(applied.size())) {
    pqxx::work transaction(link);
    transaction.exec(kMakeTable);
    transaction.exec(std::string(step.text));
    transaction.exec_params("insert into schema_migrations (version, name, sha256) values ($1, $2, $3)", step.version,
                            std::string(step.name), std::string(step.sha256));
    transaction.commit();
  }
  return {};
}

Status compare(Link& link, std::span<const Migration> steps) {
  const auto applied = read_applied(link);
  CAPF_TRY(check_known(applied, steps));
  if (applied.size() < steps.size()) {
    return fail(Reason::kSchemaMismatch, "the database lacks migration " + std::to_string(applied.size() + 1) + " of " +
                                             std::to_string(steps.size()) + ": run 'capfd migrate'");
  }
  return {};
}

}  // namespace

Status migrate(const std::string& owner_conninfo) { return migrate(owner_conninfo, migrations()); }

Status migrate(const std::string& owner_conninfo, std::span<const Migration> steps) {
  return over_connection(owner_conninfo, [&](Link& link) { return apply_missing(link, steps); });
}

Status check_schema(const std::string& conninfo) { return check_schema(conninfo, migrations()); }

Status check_schema(const std::string& conninfo, std::span<const Migration> steps) {
  return over_connection(conninfo, [&](Link& link) { return compare(link, steps); });
}

}  // namespace capf::storage
