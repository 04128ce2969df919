#include <atomic>
#include <thread>

#include "tests/storage/samples.h"

namespace capf::test {
namespace {

struct Site {
  FreshDatabase fresh;
  std::unique_ptr<storage::PostgresDatabase> database = fresh.open();
  std::int64_t phone = 0;
  std::int64_t operation = 0;

  explicit Site(int strings_limit = 100) {
    in(*database, [&](Transaction& tx) {
      phone = added_phone(tx).id;
      operation = added_operation(tx, *good(tx.phones().find(device())), strings_limit).id;
    });
  }
  std::optional<Reason> count(const std::string& block) {
    return good(in_write(*database, [&](Transaction& tx) { return tx.strings().count(phone, operation, block); }));
  }
  std::optional<TimePoint> locked_until() {
    return good(in_read(*database, [&](Transaction& tx) { return tx.phones().find(device()); }))->string_locked_until;
  }
};

std::string address(int number) { return "10.0." + std::to_string(number / 256) + "." + std::to_string(number % 256); }

TEST_CASE("of a thousand strings at once over two servers exactly ten are compared") {
  Site site;
  const auto one = site.fresh.open(8);
  const auto two = site.fresh.open(8);
  std::atomic<int> next{0};
  std::atomic<int> compared{0};
  std::atomic<int> locked{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, &database = *(i % 2 == 0 ? one : two)] {
      for (int number = next++; number < 1000; number = next++) {
        const auto refusal = in_write(
            database, [&](Transaction& tx) { return tx.strings().count(site.phone, site.operation, address(number)); });
        if (refusal && !*refusal) ++compared;
        if (refusal && *refusal == Reason::kAuthStringLocked) ++locked;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(compared == 10);
  CHECK(locked == 990);
}

TEST_CASE("the tenth string locks the device for ten minutes, and then it starts again at one") {
  Site site;
  for (int i = 0; i < 9; ++i) CHECK_FALSE(site.count(address(i)));
  CHECK_FALSE(site.locked_until());
  CHECK_FALSE(site.count(address(9)));
  CHECK(site.locked_until());
  CHECK(site.count(address(10)) == Reason::kAuthStringLocked);
  CHECK(site.fresh.sql("select locked_until - counted_at = interval '10 minutes' from device_strings") == "t");
  site.fresh.sql("update device_strings set locked_until = now() - interval '1 second'");
  for (int i = 20; i < 30; ++i) CHECK_FALSE(site.count(address(i)));
  CHECK(site.count(address(30)) == Reason::kAuthStringLocked);
}

TEST_CASE("an address has five strings for one device in an hour, and then nothing counts for the device") {
  Site site;
  for (int i = 0; i < 5; ++i) CHECK_FALSE(site.count("192.0.2.1"));
  for (int i = 0; i < 20; ++i) CHECK(site.count("192.0.2.1") == Reason::kAddressLimited);
  CHECK(site.fresh.sql("select count from device_strings") == "5");
  CHECK_FALSE(site.count("192.0.2.2"));
  site.fresh.sql("update address_device_strings set since = since - interval '1 hour'");
  CHECK_FALSE(site.count("192.0.2.1"));
}

TEST_CASE("an address has fifty strings in an hour in all, whatever they were for") {
  Site site;
  const auto stranger = [&] {
    return good(in_write(*site.database, [](Transaction& tx) { return tx.strings().count_stranger("192.0.2.1"); }));
  };
  for (int i = 0; i < 50; ++i) REQUIRE_FALSE(stranger());
  CHECK(stranger() == Reason::kAddressLimited);
  CHECK(site.count("192.0.2.1") == Reason::kAddressLimited);
  CHECK(site.fresh.sql("select count(*) from device_strings") == "0");
  site.fresh.sql("update address_strings set since = since - interval '1 hour'");
  CHECK_FALSE(stranger());
  CHECK_FALSE(site.count("192.0.2.1"));
}

TEST_CASE("an operation's strings are used up over all locks, also when it has ended") {
  Site site(3);
  for (int i = 0; i < 3; ++i) CHECK_FALSE(site.count(address(i)));
  CHECK(site.count(address(4)) == Reason::kAuthStringExhausted);
  CHECK(site.fresh.sql("select count from device_strings") == "3");
  in(*site.database, [&](Transaction& tx) {
    REQUIRE(good(tx.operations().finish(site.operation, OperationState::kFailed, Reason::kAuthStringExhausted, "")));
  });
  CHECK(site.count(address(5)) == Reason::kAuthStringExhausted);
  CHECK(site.fresh.sql("select count(*) from operation_strings") == "0");
}

TEST_CASE("what is counted in a transaction that is rolled back is not counted") {
  Site site;
  for (int i = 0; i < 3; ++i) CHECK_FALSE(site.count("192.0.2.1"));
  const Status rolled_back = site.database->write([&](Transaction& tx) -> Status {
    CHECK_FALSE(good(tx.strings().count(site.phone, site.operation, "192.0.2.1")));
    return fail(Reason::kChangedMeanwhile);
  });
  CHECK(rolled_back.error().reason == Reason::kChangedMeanwhile);
  CHECK(site.fresh.sql("select count from address_device_strings") == "3");
  CHECK(site.fresh.sql("select count from address_strings") == "3");
  CHECK(site.fresh.sql("select count from operation_strings") == "3");
  CHECK(site.fresh.sql("select count from device_strings") == "3");
}

TEST_CASE("a right string clears the device's count and lock, and nobody else's") {
  Site site(12);
  for (int i = 0; i < 4; ++i) CHECK_FALSE(site.count("192.0.2.1"));
  for (int i = 0; i < 6; ++i) CHECK_FALSE(site.count(address(i)));
  CHECK(site.locked_until());
  in(*site.database, [&](Transaction& tx) { good(tx.strings().forgive(site.phone)); });
  CHECK_FALSE(site.locked_until());
  CHECK(site.fresh.sql("select count from address_device_strings where address_block = '192.0.2.1'") == "4");
  CHECK(site.fresh.sql("select count from address_strings where address_block = '192.0.2.1'") == "4");
  CHECK(site.fresh.sql("select count from operation_strings") == "10");
  CHECK(site.fresh.sql("select count(*) from device_strings") == "0");
}

TEST_CASE("unlocking a device clears its counts from every address") {
  Site site;
  for (int i = 0; i < 5; ++i) CHECK_FALSE(site.count("192.0.2.1"));
  for (int i = 0; i < 5; ++i) CHECK_FALSE(site.count("192.0.2.2"));
  CHECK(site.locked_until());
  in(*site.database, [&](Transaction& tx) { good(tx.strings().unlock(site.phone)); });
  CHECK_FALSE(site.locked_until());
  CHECK_FALSE(site.count("192.0.2.1"));
}

TEST_CASE("only counts that are older than their window are pruned") {
  Site site;
  const auto prune = [&] { in(*site.database, [](Transaction& tx) { good(tx.strings().prune()); }); };
  const auto rows = [&] {
    return site.fresh.sql(
        "select (select count(*) from device_strings) + (select count(*) from address_device_strings) + "
        "(select count(*) from address_strings)");
  };
  CHECK_FALSE(site.count("192.0.2.1"));
  prune();
  CHECK(rows() == "3");
  site.fresh.sql("update address_device_strings set since = since - interval '2 hours'");
  site.fresh.sql("update address_strings set since = since - interval '2 hours'");
  site.fresh.sql("update device_strings set counted_at = counted_at - interval '2 hours'");
  prune();
  CHECK(rows() == "0");
}

}  // namespace
}  // namespace capf::test
