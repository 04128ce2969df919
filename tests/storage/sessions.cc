#include <thread>

#include "capf/domain/administrator_store.h"
#include "capf/domain/key_store.h"
#include "capf/domain/lease_store.h"
#include "storage/session.h"
#include "tests/storage/samples.h"

// The state in which a session goes back into the pool, and in which its next user finds it.

namespace capf::test {
namespace {

using std::chrono::milliseconds;

/// Sessions of the server in a transaction, good or aborted, although no thread uses them.
std::string open_transactions(const FreshDatabase& fresh) {
  return fresh.sql(
      "select count(*) from pg_stat_activity where datname = current_database() and usename = 'capf_server' "
      "and state like 'idle in transaction%'",
      "postgres");
}

/// Does `action` after the insert into leases, in the server's own session.
void after_lease(const FreshDatabase& fresh, const std::string& action) {
  fresh.sql("create function act() returns trigger language plpgsql as $$ begin " + action +
            "; return null; end $$; "
            "create trigger act after insert on leases for each row execute function act()");
}

Status take_lease(Database& database, int& runs) {
  return database.write([&](Transaction& tx) -> Status {
    ++runs;
    CAPF_TRY(tx.leases().take("l", "h", 60));
    return {};
  });
}

TEST_CASE("what fails as a transaction begins does not stay when the cause is gone") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  good(database->ping());
  fresh.sql("alter function microseconds(timestamptz) rename to microseconds_away");
  for (int i = 0; i < 8; ++i) {
    const Status status = database->ping();
    REQUIRE_FALSE(status);
    CHECK(status.error().reason == Reason::kInternal);
    CHECK(status.error().cause.find("microseconds") != std::string::npos);
  }
  CHECK(open_transactions(fresh) == "0");
  fresh.sql("alter function microseconds_away(timestamptz) rename to microseconds");
  for (int i = 0; i < 8; ++i) good(database->ping());
  CHECK(open_transactions(fresh) == "0");
}

TEST_CASE("only an idle session goes back into the pool") {
  const FreshDatabase fresh;
  const auto conninfo = good(storage::link_settings(fresh.conninfo(), {}));
  const auto open_after = [&](const std::string& statements) {
    storage::Pool pool(conninfo, {1, milliseconds(10'000), milliseconds(600'000)});
    {
      auto lease = good(pool.take(milliseconds(1000)));
      CHECK_FALSE(lease.pooled());
      pqxx::nontransaction session(lease.connection().link);
      try {
        session.exec(statements);
      } catch (const pqxx::sql_error&) {
      }
    }
    CHECK(pool.use().in_use == 0);
    const int open = pool.use().open;
    const auto next = good(pool.take(milliseconds(1000)));
    CHECK(next.pooled() == (open == 1));
    return open;
  };
  CHECK(open_after("select 1") == 1);
  CHECK(open_after("select 1 / 0") == 1);  // a transaction of its own, which has ended
  CHECK(open_after("begin; select 1") == 0);
  CHECK(open_after("begin; select 1 / 0") == 0);
  CHECK(open_after("begin; rollback") == 1);
}

TEST_CASE("work that fails by itself leaves its session as it was") {
  const FreshDatabase fresh;
  const auto database = fresh.open(1);
  CHECK_FALSE(database->write([](Transaction& tx) -> Status {
    added_phone(tx);
    return fail(Reason::kDeviceExists);
  }));
  CHECK(database->use().open == 1);
  CHECK(open_transactions(fresh) == "0");
}

TEST_CASE("work that throws leaves no transaction open") {
  const FreshDatabase fresh;
  const auto database = fresh.open(1);
  CHECK_THROWS(database->write([](Transaction& tx) -> Status {
    added_phone(tx);
    throw std::runtime_error("work");
  }));
  CHECK(open_transactions(fresh) == "0");
  CHECK(fresh.sql("select count(*) from phones") == "0");
  in(*database, [](Transaction& tx) { added_phone(tx); });
}

TEST_CASE("what a table refuses is not asked again, and its session serves on") {
  const FreshDatabase fresh;
  const auto database = fresh.open(1);
  good(database->ping());
  const std::string before =
      fresh.sql("select max(pid) from pg_stat_activity where usename = 'capf_server' and datname = current_database()",
                "postgres");
  int runs = 0;
  const Status status = database->write([&](Transaction& tx) -> Status {
    ++runs;
    CAPF_TRY(tx.keys().claim(digest("k"), KeyOwner::kPhone, 4711));  // no such phone
    return {};
  });
  REQUIRE_FALSE(status);
  CHECK(runs == 1);
  CHECK(database->use().open == 1);
  good(database->ping());
  CHECK(
      before ==
      fresh.sql("select max(pid) from pg_stat_activity where usename = 'capf_server' and datname = current_database()",
                "postgres"));
}

TEST_CASE("an error that every session has is the answer after one new session") {
  const FreshDatabase fresh;
  const auto database = fresh.open(1);
  good(database->ping());
  fresh.sql("alter table leases rename to leases_away");
  int runs = 0;
  CHECK_FALSE(take_lease(*database, runs));
  CHECK(runs == 2);
  runs = 0;
  CHECK_FALSE(take_lease(*database, runs));
  CHECK(runs == 1);  // over a session that was new already
  fresh.sql("alter table leases_away rename to leases");
  good(take_lease(*database, runs));
}

TEST_CASE("a prepared statement whose columns have changed is prepared again in another session") {
  const FreshDatabase fresh;
  const auto database = fresh.open(1);
  const auto list = [&] {
    good(database->read([](Transaction& tx) -> Status {
      CAPF_TRY(tx.administrators().list());
      return {};
    }));
  };
  list();
  fresh.sql(
      "alter table administrators alter column name type varchar(64)");  // cached plan must not change result type
  list();
  list();
}

TEST_CASE("a statement that could not be prepared because of a lock is prepared by its next use") {
  const FreshDatabase fresh;
  storage::SessionLimits limits;
  limits.lock = milliseconds(50);
  storage::Connection connection(good(storage::link_settings(fresh.conninfo(), limits)));
  storage::Connection holder(good(storage::link_settings(fresh.conninfo("capf_owner"), {})));
  const storage::Statement statement{"test_count_leases", "select count(*) from leases"};
  const auto count = [&]() -> Status {
    storage::Session session(connection);
    CAPF_TRY(session.begin(storage::Access::kRead));
    CAPF_TRY(session.execute(statement, storage::Parameters()));
    return session.commit();
  };
  pqxx::nontransaction held(holder.link);
  held.exec("begin; lock table leases in access exclusive mode");
  const Status locked = count();
  REQUIRE_FALSE(locked);
  CHECK(locked.error().reason == Reason::kOverloaded);
  held.exec("rollback");
  good(count());
}

TEST_CASE("tables and functions that were dropped and made again are found") {
  const FreshDatabase fresh;
  const auto database = fresh.open(1);
  int runs = 0;
  good(take_lease(*database, runs));
  fresh.sql(
      "create table kept (like leases including all); insert into kept table leases; drop table leases; "
      "alter table kept rename to leases; grant select, insert, update, delete on leases to capf_server");
  const std::string microseconds = fresh.sql("select pg_get_functiondef('microseconds(timestamptz)'::regprocedure)");
  fresh.sql("alter function microseconds(timestamptz) rename to microseconds_away");
  fresh.sql(microseconds);
  runs = 0;
  good(take_lease(*database, runs));
  good(database->ping());
}

TEST_CASE("what a session was left with ends with it") {
  const FreshDatabase fresh;
  const std::string role = "other_" + fresh.sql("select current_database()");
  const auto [what, action] = GENERATE(table<const char*, const char*>({
      {"prepared statements that are gone", "execute 'deallocate all'"},
      {"another search_path", "perform set_config('search_path', 'pg_catalog', false)"},
      {"another role", "perform set_config('role', 'other_' || current_database(), false)"},
      {"another form of values", "perform set_config('intervalstyle', 'sql_standard', false)"},
  }));
  INFO(what);
  fresh.sql("create role " + role + "; grant " + role + " to capf_server", "postgres");
  after_lease(fresh, action);
  {
    const auto database = fresh.open(1);
    int runs = 0;
    good(take_lease(*database, runs));
    fresh.sql("drop trigger act on leases");
    runs = 0;
    good(take_lease(*database, runs));
    CHECK(runs <= 2);
    in(*database, [](Transaction& tx) { added_phone(tx); });
  }
  fresh.sql("drop role " + role, "postgres");
}

TEST_CASE("a setting of the role that an administrator has set right fails nobody any more") {
  const FreshDatabase fresh;
  const std::string setting =
      GENERATE(as<std::string>(), "session_replication_role = replica", "search_path = 'pg_catalog'",
               "bytea_output = 'escape'", "standard_conforming_strings = off");
  INFO(setting);
  const std::string role = "alter role capf_server in database " + fresh.sql("select current_database()");
  const auto database = fresh.open(3);
  const auto use = [&] {  // three sessions at once, a statement with octets in each
    const auto list = [](Transaction& tx) -> Status {
      CAPF_TRY(tx.administrators().list());
      return {};
    };
    return database->read([&](Transaction& one) -> Status {
      CAPF_TRY(list(one));
      return database->read([&](Transaction& two) -> Status {
        CAPF_TRY(list(two));
        return database->read(list);
      });
    });
  };
  in(*database, [](Transaction& tx) {
    Administrator administrator;
    administrator.name = "alice";
    administrator.certificate_sha256 = digest("alice");
    administrator.certificate_not_after = tx.now() + std::chrono::hours(24);
    administrator.created_by = "init";
    REQUIRE(good(tx.administrators().add(administrator)));
  });
  fresh.sql(role + " set " + setting, "postgres");
  fresh.sql(
      "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity "
      "where datname = current_database() and usename = 'capf_server'",
      "postgres");
  for (int i = 0; i < 3; ++i) static_cast<void>(use());
  fresh.sql(role + " reset all", "postgres");
  // A connection that failed is not tried again at once.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!use() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  for (int i = 0; i < 3; ++i) good(use());
  CHECK(open_transactions(fresh) == "0");
}

TEST_CASE("a session ends after its longest life, used or not") {
  const FreshDatabase fresh;
  const auto database = fresh.open({.connections = 2, .life = milliseconds(100)});
  const auto pid_in_use = [&] {
    std::string pid;
    good(database->read([&](Transaction&) -> Status {
      pid = fresh.sql(
          "select max(pid) from pg_stat_activity where usename = 'capf_server' and datname = current_database()",
          "postgres");
      return {};
    }));
    return pid;
  };
  good(database->ping());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (database->use().open != 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  CHECK(database->use().open == 0);
  const std::string first = pid_in_use();
  std::string next = first;
  while (next == first && std::chrono::steady_clock::now() < deadline) next = pid_in_use();
  CHECK(next != first);
}

TEST_CASE("a commit waits for the disk, or for more where the cluster says so") {
  const FreshDatabase fresh;
  const auto [set, used] = GENERATE(table<std::string, std::string>(
      {{"off", "on"}, {"on", "on"}, {"local", "local"}, {"remote_apply", "remote_apply"}}));
  fresh.sql("alter role capf_server in database " + fresh.sql("select current_database()") +
                " set synchronous_commit = " + set,
            "postgres");
  storage::Link link(good(storage::link_settings(fresh.conninfo(), {})));
  CHECK(pqxx::nontransaction(link).exec("show synchronous_commit").front()[0].as<std::string>() == used);
}

TEST_CASE("a limit of the role that is shorter than beginning a session does not keep it from beginning") {
  const FreshDatabase fresh;
  const std::string role = "alter role capf_server in database " + fresh.sql("select current_database()") + " set ";
  for (const char* setting : {"statement_timeout = 1", "default_transaction_read_only = on"})
    fresh.sql(role + setting, "postgres");
  for (int i = 0; i < 20; ++i) {
    storage::Link link(good(storage::link_settings(fresh.conninfo(), {})));
    pqxx::nontransaction session(link);
    CHECK(session.exec("show statement_timeout").front()[0].as<std::string>() == "15s");
    CHECK(session.exec("show transaction_read_only").front()[0].as<std::string>() == "off");
    CHECK_FALSE(link.is_pooled());
  }
}

TEST_CASE("an administrator's own limits are kept, however they are written") {
  const FreshDatabase fresh;
  const std::string own = GENERATE(as<std::string>(), "-c statement_timeout=7s", "--statement-timeout=7s",
                                   "-c jit=on -c Statement_Timeout=7s");
  const auto settings = good(storage::link_settings(fresh.conninfo() + " options='" + own + "'", {}));
  storage::Link link(settings);
  pqxx::nontransaction session(link);
  CHECK(session.exec("show statement_timeout").front()[0].as<std::string>() == "7s");
  CHECK(session.exec("show lock_timeout").front()[0].as<std::string>() == "5s");
}

TEST_CASE("a session that another one has taken the place of is not used") {
  const FreshDatabase fresh;
  // As behind a pooler that gives each transaction any free session, which need not be the adapted one.
  auto settings = good(storage::link_settings(fresh.conninfo(), {}));
  const auto end = settings.statements.rfind("pg_catalog.pg_backend_pid()");
  REQUIRE(end != std::string::npos);
  settings.statements.replace(end, std::string::npos, "pg_catalog.pg_backend_pid() + 1");
  storage::Connection connection(settings);
  CHECK(connection.link.is_pooled());
  storage::Session session(connection);
  const Status begun = session.begin(storage::Access::kRead);
  REQUIRE_FALSE(begun);
  CHECK(begun.error().reason == Reason::kDatabaseUnavailable);
  CHECK(begun.error().cause.find("pooler") != std::string::npos);
}

TEST_CASE("a look over a session that began on a standby asks whether it is one still") {
  const FreshDatabase fresh;
  storage::Connection connection(good(storage::link_settings(fresh.conninfo(), {})));
  CHECK_FALSE(connection.standby);
  connection.standby = true;  // as before the standby was promoted
  storage::Session session(connection);
  good(session.single(storage::Access::kRead));
  CHECK_FALSE(session.standby());
  CHECK_FALSE(connection.standby);
}

TEST_CASE("nothing runs where the record's triggers would not") {
  const FreshDatabase fresh;
  fresh.sql("alter role capf_server in database " + fresh.sql("select current_database()") +
                " set session_replication_role = replica",
            "postgres");
  const Status status = fresh.open()->ping();
  REQUIRE_FALSE(status);
  CHECK(status.error().cause.find("session_replication_role") != std::string::npos);
}

}  // namespace
}  // namespace capf::test
