#include <atomic>
#include <barrier>
#include <thread>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "capf/domain/key_store.h"
#include "capf/domain/lease_store.h"
#include "capf/domain/phone_store.h"
#include "tests/storage/samples.h"
#include "tests/support/folder.h"

namespace capf::test {
namespace {

using std::chrono::milliseconds;

/// Cuts off every connection of the server's role to the database.
void cut_off(const FreshDatabase& fresh) {
  fresh.sql(
      "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity "
      "where datname = current_database() and usename = 'capf_server'",
      "postgres");
}

TEST_CASE("work that fails is rolled back, and its error is the answer") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  const Status status = database->write([&](Transaction& tx) -> Status {
    added_phone(tx);
    return fail(Reason::kDeviceExists, "for a reason");
  });
  REQUIRE_FALSE(status);
  CHECK(status.error().message == "for a reason");
  CHECK(fresh.sql("select count(*) from phones") == "0");
  CHECK(fresh.sql("select phones from totals") == "0");
}

TEST_CASE("work that goes on after a statement failed is not taken for stored") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  const Status status = database->write([&](Transaction& tx) -> Status {
    added_phone(tx);
    CHECK_FALSE(tx.keys().claim(digest("k"), KeyOwner::kPhone, 4711));  // no such phone
    CHECK_FALSE(tx.phones().find(device()));
    return {};
  });
  REQUIRE_FALSE(status);
  CHECK(status.error().reason == Reason::kInternal);
  CHECK(fresh.sql("select count(*) from phones") == "0");
  in(*database, [](Transaction& tx) { added_phone(tx); });
}

TEST_CASE("reading cannot write") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  int runs = 0;
  const Status status = database->read([&](Transaction& tx) -> Status {
    ++runs;
    CAPF_TRY(tx.leases().take("l", "h", 1));
    return {};
  });
  REQUIRE_FALSE(status);
  CHECK(fresh.sql("select count(*) from leases") == "0");
}

TEST_CASE("a serialization failure runs the work again from its start") {
  const FreshDatabase fresh;
  fresh.sql(
      "create sequence tries; grant usage on sequence tries to capf_server; "
      "create function fail_twice() returns trigger language plpgsql as $$ begin "
      "if nextval('tries') < 3 then raise exception 'once more' using errcode = 'serialization_failure'; end if; "
      "return new; end $$; "
      "create trigger fail_twice before insert on leases for each row execute function fail_twice()");
  const auto database = fresh.open();
  int runs = 0;
  good(database->write([&](Transaction& tx) -> Status {
    ++runs;
    CAPF_TRY(tx.leases().take("l", "h", 1));
    return {};
  }));
  CHECK(runs == 3);
}

TEST_CASE("two transactions that lock two phones in each other's order both succeed") {
  const FreshDatabase fresh;
  fresh.sql("alter database " + fresh.sql("select current_database()") + " set deadlock_timeout = '20ms'", "postgres");
  const auto database = fresh.open();
  in(*database, [](Transaction& tx) {
    added_phone(tx, device("SEP1"));
    added_phone(tx, device("SEP2"));
  });
  std::barrier both{2};
  std::atomic<int> runs{0};
  const auto work = [&](const char* first, const char* second) {
    bool waited = false;
    const Status status = database->write([&](Transaction& tx) -> Status {
      ++runs;
      CAPF_TRY(tx.phones().lock(good(DeviceName::parse(first))));
      if (!std::exchange(waited, true)) both.arrive_and_wait();
      CAPF_TRY(tx.phones().lock(good(DeviceName::parse(second))));
      return {};
    });
    return status.has_value();
  };
  bool one = false;
  std::thread thread([&] { one = work("SEP1", "SEP2"); });
  const bool two = work("SEP2", "SEP1");
  thread.join();
  CHECK(one);
  CHECK(two);
  CHECK(runs >= 3);  // one of them gave way, perhaps more than once
}

TEST_CASE("a connection that is lost in the middle runs the work again over another one") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  int runs = 0;
  good(database->write([&](Transaction& tx) -> Status {
    CAPF_TRY(tx.phones().add(std::vector{device()}, ""));
    if (++runs == 1) cut_off(fresh);
    CAPF_TRY(tx.phones().find(device()));
    return {};
  }));
  CHECK(runs == 2);
  CHECK(fresh.sql("select count(*) from phones") == "1");
}

TEST_CASE("connections that were lost while idle are replaced") {
  const FreshDatabase fresh;
  const auto database = fresh.open(4);
  // Four connections at once, so that four become idle.
  good(database->read([&](Transaction&) {
    return database->read([&](Transaction&) {
      return database->read([&](Transaction&) { return database->read([](Transaction&) { return Status{}; }); });
    });
  }));
  CHECK(database->use().open == 4);
  cut_off(fresh);
  good(database->ping());
  in(*database, [](Transaction& tx) { added_phone(tx); });
  CHECK(database->use().in_use == 0);
}

TEST_CASE("a connection that is lost during the commit leaves it in doubt") {
  const FreshDatabase fresh;
  fresh.sql(
      "create function die() returns trigger language plpgsql security definer as $$ begin "
      "perform pg_terminate_backend(pg_backend_pid()); return null; end $$; "
      "create constraint trigger die after insert on leases deferrable initially deferred "
      "for each row execute function die()",
      "postgres");
  const auto database = fresh.open();
  int runs = 0;
  const Status status = database->write([&](Transaction& tx) -> Status {
    ++runs;
    CAPF_TRY(tx.leases().take("l", "h", 1));
    return {};
  });
  REQUIRE_FALSE(status);
  CHECK(status.error().reason == Reason::kCommitInDoubt);
  CHECK(runs == 1);
  good(database->ping());
}

TEST_CASE("who holds a phone too long makes others come again later") {
  const FreshDatabase fresh;
  const auto database = fresh.open({.limits = {.lock = milliseconds(50)}});
  in(*database, [](Transaction& tx) { added_phone(tx); });
  in(*database, [&](Transaction& tx) {
    good(tx.phones().lock(device()));
    const Status other = database->write([&](Transaction& second) -> Status {
      CAPF_TRY(second.phones().lock(device()));
      return {};
    });
    REQUIRE_FALSE(other);
    CHECK(other.error().reason == Reason::kOverloaded);
    // A stranger's try and its record do not wait for the phone's own transaction.
    const Phone phone = *good(tx.phones().find(device()));
    RefusalRecord refusal = sample_refusal("192.0.2.1", Reason::kAuthStringMismatch, phone.device.text());
    refusal.phone_id = phone.id;
    refuse(*database, refusal);
    good(database->rounds().hear({{"192.0.2.1"}, phone.id, 1, false}));
  });
}

TEST_CASE("a pool without a free connection says so, and shows its use") {
  const FreshDatabase fresh;
  const auto database = fresh.open({.connections = 1, .wait = milliseconds(20)});
  good(database->read([&](Transaction&) -> Status {
    CHECK(database->use().in_use == 1);
    CHECK(database->use().size == 1);
    const Status second = database->read([](Transaction&) { return Status{}; });
    REQUIRE_FALSE(second);
    CHECK(second.error().reason == Reason::kOverloaded);
    return {};
  }));
  CHECK(database->use().in_use == 0);
  CHECK(database->use().open == 1);
}

TEST_CASE("a database that is away is told, and is no reason not to start") {
  const auto database = good(storage::PostgresDatabase::open({.conninfo = "host=/nonexistent user=capf_server"}));
  const Status status = database->ping();
  REQUIRE_FALSE(status);
  CHECK(status.error().reason == Reason::kDatabaseUnavailable);
  CHECK(database->use().open == 0);
}

/// Looks like PostgreSQL, ends every connection at once, and counts them.
class BrokenServer {
 public:
  BrokenServer() : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = folder_.path() / ".s.PGSQL.5432";
    REQUIRE(path.size() < sizeof address.sun_path);
    std::copy(path.begin(), path.end(), address.sun_path);
    REQUIRE(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(socket_, 128) == 0);
    thread_ = std::thread([this] {
      for (int taken = ::accept(socket_, nullptr, nullptr); taken >= 0; taken = ::accept(socket_, nullptr, nullptr)) {
        ++count_;
        ::close(taken);
      }
    });
  }
  ~BrokenServer() {
    ::shutdown(socket_, SHUT_RDWR);
    thread_.join();
    ::close(socket_);
  }
  BrokenServer(const BrokenServer&) = delete;
  BrokenServer& operator=(const BrokenServer&) = delete;

  std::string conninfo() const { return "user=capf_server dbname=capf host=" + folder_.path().string(); }
  int count() const { return count_; }

 private:
  Folder folder_;
  const int socket_;
  std::atomic<int> count_{0};
  std::thread thread_;
};

TEST_CASE("while the database is away few try to reach it, and the others are refused at once") {
  const BrokenServer server;
  const auto database = good(storage::PostgresDatabase::open({.conninfo = server.conninfo()}));
  std::atomic<int> refused{0};
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(3);
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      while (std::chrono::steady_clock::now() < end) {
        const Status status = database->ping();
        if (!status && status.error().reason == Reason::kDatabaseUnavailable) ++refused;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  // At most eight together; then pauses of 50, 100, 200, 400, 800, 1000 ms, each at least halved.
  CHECK(server.count() >= 4);
  CHECK(server.count() <= 8 + 10);
  CHECK(refused > 1000);
  CHECK(database->use().open == 0);
}

TEST_CASE("the clock of a transaction is the database's at its start") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  const SystemClock clock;
  in(*database, [&](Transaction& tx) { CHECK(std::chrono::abs(clock.now() - tx.now()) < std::chrono::minutes(1)); });
}

}  // namespace
}  // namespace capf::test
