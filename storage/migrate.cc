#include "storage/migrate.h"

#include <regex>
#include <thread>
#include <vector>

#include "capf/base/log.h"
#include "storage/conninfo.h"
#include "storage/session.h"

namespace capf::storage {
namespace {

// A migration of a large site takes its time.
constexpr SessionLimits kLimits{std::chrono::hours{24}, std::chrono::hours{1}, std::chrono::hours{24}};
constexpr std::chrono::milliseconds kTurn{200};  ///< between two looks whether another program still migrates
constexpr std::chrono::hours kLongestTurn{1};

constexpr std::string_view kBeside = "-- beside servers from migration ";

struct Applied {
  int version;
  std::string sha256;
  int beside_from;  ///< 0 where all servers had to stop
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
    return fail(fault_of(std::current_exception(), connected, Phase::kWork).error);
  }
}

/// The migrations that the database has; empty where it is new.
std::vector<Applied> read_applied(Link& link) {
  pqxx::nontransaction query(link);
  std::vector<Applied> applied;
  if (query.exec("select to_regclass('schema_migrations') is null").front()[0].as<bool>()) return applied;
  // By way of JSON, because a database that no newer migrator has seen lacks the column.
  for (const pqxx::row& row : query.exec("select version, sha256, coalesce((to_jsonb(m) ->> 'beside_from')::int, 0) "
                                         "from schema_migrations m order by version")) {
    applied.push_back({row[0].as<int>(), row[1].as<std::string>(), row[2].as<int>()});
  }
  return applied;
}

/// The applied migrations must be a prefix of this program's, or go on from there beside servers of its schema.
Status check_known(const std::vector<Applied>& applied, std::span<const Migration> steps) {
  const int own = static_cast<int>(steps.size());
  for (std::size_t i = 0; i < applied.size(); ++i) {
    if (i >= steps.size()) {
      if (applied[i].beside_from > 0 && applied[i].beside_from <= own) continue;
      return fail(Reason::kSchemaMismatch, "the database's schema is newer than this program (migration " +
                                               std::to_string(applied[i].version) + " of " + std::to_string(own) +
                                               "): update the program");
    }
    if (applied[i].version != steps[i].version || applied[i].sha256 != steps[i].sha256) {
      return fail(Reason::kSchemaMismatch, "migration " + std::to_string(steps[i].version) +
                                               " in the database is not this program's: it was edited after it was "
                                               "applied, or the database belongs to another program");
    }
  }
  return {};
}

constexpr char kMakeTables[] =
    "create table if not exists schema_migrations (version integer primary key check (version > 0), name text not "
    "null, sha256 text not null, applied_at timestamptz not null default now(), beside_from integer); "
    "alter table schema_migrations add column if not exists beside_from integer; "
    "create table if not exists schema_steps (version integer, step integer, sha256 text not null, "
    "primary key (version, step))";

void record(pqxx::transaction_base& transaction, const Migration& migration) {
  run_with(transaction,
           "insert into schema_migrations (version, name, sha256, beside_from) values ($1, $2, $3, nullif($4::int, 0))",
           migration.version, std::string(migration.name), std::string(migration.sha256),
           beside_from(migration).value_or(0));
}

Status apply_at_once(Link& link, const Migration& migration) {
  pqxx::work transaction(link);
  transaction.exec(kMakeTables);
  transaction.exec(std::string(migration.text));
  record(transaction, migration);
  transaction.commit();
  return {};
}

/// A migration's steps, as its empty lines separate them, without those that are comments alone.
std::vector<std::string> steps_of(const Migration& migration) {
  static const std::regex kStatement("(^|\n)(?!--)[^\n]");
  std::vector<std::string> steps;
  std::string_view rest = migration.text;
  while (!rest.empty()) {
    const std::size_t end = rest.find("\n\n");
    const std::string step(rest.substr(0, end));
    if (std::regex_search(step, kStatement)) steps.push_back(step);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 2);
  }
  return steps;
}

/// The index that the step builds concurrently.
std::optional<std::string> index_of(const std::string& step) {
  static const std::regex kBuilds("create (?:unique )?index concurrently ([a-z0-9_]+) on ");
  std::smatch found;
  if (!std::regex_search(step, found, kBuilds)) return std::nullopt;
  return found[1].str();
}

/// A migration that runs beside servers.
class Steps {
 public:
  Steps(Link& link, const Migration& migration, const Patience& patience)
      : link_(link), migration_(migration), patience_(patience) {}

  Status apply() {
    CAPF_TRY(within_patience(0, [](pqxx::work& transaction) { transaction.exec(kMakeTables); }));
    CAPF_LET(const int done, done_before());
    const std::vector<std::string> steps = steps_of(migration_);
    for (int step = done + 1; step <= static_cast<int>(steps.size()); ++step) {
      CAPF_TRY(apply(step, steps[static_cast<std::size_t>(step - 1)]));
    }
    return within_patience(0, [&](pqxx::work& transaction) {
      run_with(transaction, "delete from schema_steps where version = $1", migration_.version);
      record(transaction, migration_);
    });
  }

 private:
  /// How many steps are done, by a program with the same text.
  Result<int> done_before() {
    pqxx::nontransaction query(link_);
    const pqxx::row row =
        run_with(
            query,
            "select coalesce(max(step), 0), coalesce(bool_and(sha256 = $2), true) from schema_steps where version = $1",
            migration_.version, std::string(migration_.sha256))
            .front();
    if (row[1].as<bool>()) return row[0].as<int>();
    return fail(Reason::kSchemaMismatch, "migration " + std::to_string(migration_.version) +
                                             " was begun with another text: go on with the program that began it");
  }

  Status apply(int step, const std::string& text) {
    const auto index = index_of(text);
    if (index) build(*index, text);
    return within_patience(step, [&](pqxx::work& transaction) {
      if (!index) transaction.exec(text);
      run_with(transaction, "insert into schema_steps (version, step, sha256) values ($1, $2, $3)", migration_.version,
               step, std::string(migration_.sha256));
    });
  }

  /// Builds an index, unless it is there already. It waits for locks as long as it must, because nobody waits for it.
  void build(const std::string& index, const std::string& text) {
    pqxx::nontransaction session(link_);
    const pqxx::result found =
        run_with(session, "select indisvalid from pg_index where indexrelid = to_regclass($1)", index);
    if (!found.empty() && found.front()[0].as<bool>()) return;
    if (!found.empty()) session.exec("drop index concurrently " + session.quote_name(index));
    session.exec(text);
  }

  /// Runs a transaction until it gets its locks. @param step 0 where it is no step of the file.
  template <class Work>
  Status within_patience(int step, Work work) {
    for (int attempt = 1;; ++attempt) {
      const auto fault = try_once(work);
      if (!fault) return {};
      const bool locked = fault->error.reason == Reason::kOverloaded || fault->remedy == Remedy::kRepeat;
      if (!locked) return fail(fault->error);
      if (attempt >= patience_.tries) return give_up(step, fault->error.cause);
      log_warning("schema.lock_awaited", {{"migration", migration_.version}, {"step", step}, {"try", attempt}});
      std::this_thread::sleep_for(patience_.pause);
    }
  }

  template <class Work>
  std::optional<Fault> try_once(Work& work) {
    try {
      pqxx::work transaction(link_);
      transaction.exec("set local lock_timeout = " + std::to_string(patience_.lock.count()));
      work(transaction);
      transaction.commit();
      return std::nullopt;
    } catch (...) {
      return fault_of(std::current_exception(), link_.is_open(), Phase::kWork);
    }
  }

  Status give_up(int step, const std::string& cause) const {
    return fail(Reason::kOverloaded,
                "migration " + std::to_string(migration_.version) + " did not get the lock for its step " +
                    std::to_string(step) + " in " + std::to_string(patience_.tries) +
                    " tries: end the long transactions that pg_stat_activity shows, and run 'capfd migrate' again; it "
                    "goes on where it stopped",
                cause);
  }

  Link& link_;
  const Migration& migration_;
  const Patience& patience_;
};

/// Waits until no other program migrates; the lock is held until the connection closes. Asks again and again, because a
/// statement that waits in PostgreSQL has a snapshot, for whose end "create index concurrently" of the other one waits.
Status take_turn(Link& link) {
  const auto end = std::chrono::steady_clock::now() + kLongestTurn;
  for (;;) {
    const bool mine = pqxx::nontransaction(link)
                          .exec("select pg_try_advisory_lock(hashtext('capf'), hashtext('migrate'))")
                          .front()[0]
                          .as<bool>();
    if (mine) return {};
    if (std::chrono::steady_clock::now() >= end) {
      return fail(Reason::kOverloaded, "another 'capfd migrate' has been at this database for more than an hour");
    }
    std::this_thread::sleep_for(kTurn);
  }
}

Status apply_missing(Link& link, std::span<const Migration> steps, const Patience& patience) {
  CAPF_TRY(take_turn(link));
  const auto applied = read_applied(link);
  CAPF_TRY(check_known(applied, steps));
  if (applied.size() >= steps.size()) return {};
  for (const Migration& step : steps.subspan(applied.size())) {
    CAPF_TRY(beside_from(step) ? Steps(link, step, patience).apply() : apply_at_once(link, step));
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

std::optional<int> beside_from(const Migration& migration) {
  if (!migration.text.starts_with(kBeside)) return std::nullopt;
  return std::stoi(std::string(migration.text.substr(kBeside.size(), 9)));
}

Status migrate(const std::string& owner_conninfo) { return migrate(owner_conninfo, migrations()); }

Status migrate(const std::string& owner_conninfo, std::span<const Migration> steps, const Patience& patience) {
  return over_connection(owner_conninfo, [&](Link& link) { return apply_missing(link, steps, patience); });
}

Status check_schema(const std::string& conninfo) { return check_schema(conninfo, migrations()); }

Status check_schema(const std::string& conninfo, std::span<const Migration> steps) {
  return over_connection(conninfo, [&](Link& link) { return compare(link, steps); });
}

}  // namespace capf::storage
