#include <array>

#include "capf/domain/operation_store.h"
#include "capf/domain/phone_store.h"
#include "capf/domain/string_store.h"
#include "tests/storage/samples.h"

namespace capf::test {
namespace {

struct Site {
  FreshDatabase fresh;
  std::unique_ptr<storage::PostgresDatabase> database = fresh.open();
  std::int64_t phone = 0;
  std::int64_t operation = 0;
  std::int64_t next_string = 0;

  explicit Site(int strings_limit = 100) {
    in(*database, [&](Transaction& tx) {
      phone = added_phone(tx).id;
      operation = added_operation(tx, *good(tx.phones().find(device())), strings_limit).id;
    });
  }
  /// Each string is another one unless the test says so.
  std::optional<Reason> count(const std::string& block) { return count(block, ++next_string); }
  std::optional<Reason> count(const std::string& block, std::int64_t string) {
    return good(database->rounds().hear({{block, string}, phone, operation, false}));
  }
  std::optional<Reason> stranger(const std::string& block, std::int64_t string, int per_address = kStringsPerAddress) {
    return good(database->rounds().hear({{block, string, per_address}, 0, 0, false}));
  }
  std::optional<TimePoint> locked_until() {
    return good(in_read(*database, [&](Transaction& tx) { return tx.phones().find(device()); }))->string_locked_until;
  }
};

std::string address(int number) { return "10.0." + std::to_string(number / 256) + "." + std::to_string(number % 256); }

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
  const auto stranger = [&] { return site.stranger("192.0.2.1", ++site.next_string); };
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
    written(tx, site.phone, {EndOperation{site.operation, OperationState::kFailed, Reason::kAuthStringExhausted, ""}});
  });
  CHECK(site.count(address(5)) == Reason::kAuthStringExhausted);
  CHECK(site.fresh.sql("select count(*) from operation_strings") == "0");
}

TEST_CASE("a right string clears the device's count and lock, and nobody else's") {
  Site site(12);
  for (int i = 0; i < 4; ++i) CHECK_FALSE(site.count("192.0.2.1"));
  for (int i = 0; i < 6; ++i) CHECK_FALSE(site.count(address(i)));
  CHECK(site.locked_until());
  in(*site.database, [&](Transaction& tx) { written(tx, site.phone, {ForgiveStrings{}}); });
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
  in(*site.database, [&](Transaction& tx) { good(tx.strings().unlock_all(std::array{site.phone})); });
  CHECK_FALSE(site.locked_until());
  CHECK_FALSE(site.count("192.0.2.1"));
}

TEST_CASE(
    "one string repeated for a device counts once for its address, and each time for the device and the operation") {
  Site site(12);
  for (int i = 0; i < 5; ++i) CHECK_FALSE(site.count("192.0.2.1", -7));
  CHECK(site.fresh.sql("select count from address_strings") == "1");
  CHECK(site.fresh.sql("select count from address_device_strings") == "5");
  CHECK(site.fresh.sql("select count from device_strings") == "5");
  CHECK(site.fresh.sql("select count from operation_strings") == "5");
  // Refused again, the same string is still not new; another string is.
  for (int i = 0; i < 20; ++i) CHECK(site.count("192.0.2.1", -7) == Reason::kAddressLimited);
  CHECK(site.fresh.sql("select count from address_strings") == "1");
  CHECK(site.count("192.0.2.1", 8) == Reason::kAddressLimited);
  CHECK(site.fresh.sql("select count from address_strings") == "2");
  // From another address it is new there.
  CHECK_FALSE(site.count("192.0.2.2", -7));
  CHECK(site.fresh.sql("select count from address_strings where address_block = '192.0.2.2'") == "1");
  // After the hour it counts again.
  site.fresh.sql("update address_device_strings set since = since - interval '1 hour'");
  CHECK_FALSE(site.count("192.0.2.1", -7));
  CHECK(site.fresh.sql("select count from address_strings where address_block = '192.0.2.1'") == "3");
}

TEST_CASE("13 phones with an old string, four tries each, do not use their address up") {
  Site site;
  std::vector<Operation> operations;
  in(*site.database, [&](Transaction& tx) {
    for (int i = 0; i < 13; ++i) {
      operations.push_back(added_operation(tx, added_phone(tx, device("SEP" + std::to_string(i)))));
    }
  });
  for (const Operation& operation : operations) {
    const HeardString old{{"192.0.2.1", operation.id}, operation.phone_id, operation.id, false};
    for (int attempt = 0; attempt < 4; ++attempt) CHECK_FALSE(good(site.database->rounds().hear(old)));
  }
  CHECK(site.fresh.sql("select count from address_strings") == "13");
  // A string whose operation has ended meanwhile is recognised too.
  for (int attempt = 0; attempt < 4; ++attempt)
    for (int i = 0; i < 13; ++i) CHECK_FALSE(site.stranger("192.0.2.1", 100 + i));
  CHECK(site.fresh.sql("select count from address_strings") == "26");
  CHECK_FALSE(site.count("192.0.2.1"));
}

TEST_CASE("different strings use an address up, and what is known of them is bounded") {
  Site site;
  for (int i = 0; i < 200; ++i) CHECK_FALSE(site.stranger("192.0.2.1", i, 200));
  CHECK(site.stranger("192.0.2.1", 1000, 200) == Reason::kAddressLimited);
  CHECK(site.stranger("192.0.2.1", 199, 200) == Reason::kAddressLimited);
  CHECK(site.fresh.sql("select cardinality(known) from address_strings") == "64");
  CHECK_FALSE(site.stranger("192.0.2.1", 1000, 500));
  for (int i = 0; i < 5; ++i) CHECK_FALSE(site.count("192.0.2.2"));
  CHECK(site.fresh.sql("select cardinality(known) from address_device_strings") == "5");
}

TEST_CASE("an address is shown as limited, in all or for one device, until somebody unlocks it") {
  Site site;
  for (int i = 0; i < 50; ++i) CHECK_FALSE(site.stranger("192.0.2.1", i));
  for (int i = 0; i < 49; ++i) CHECK_FALSE(site.stranger("192.0.2.2", i));
  for (int i = 0; i < 5; ++i) CHECK_FALSE(site.count("2001:db8::/64"));
  const auto limited = [&] {
    return good(in_read(*site.database, [](Transaction& tx) { return tx.strings().limited(kStringsPerAddress); }));
  };
  const auto found = limited();
  REQUIRE(found.size() == 2);
  CHECK(found[0].address_block == "192.0.2.1");
  CHECK(found[0].device.empty());
  CHECK(found[0].strings == 50);
  CHECK(found[1].address_block == "2001:db8::/64");
  CHECK(found[1].device == "SEP001122334455");
  CHECK(found[1].strings == 5);
  const auto unlock = [&](const std::string& block) {
    return good(in_write(*site.database, [&](Transaction& tx) { return tx.strings().unlock_address(block); }));
  };
  CHECK_FALSE(unlock("192.0.2.9"));
  CHECK(unlock("192.0.2.1"));
  CHECK(unlock("2001:db8::/64"));
  CHECK(limited().empty());
  CHECK_FALSE(site.stranger("192.0.2.1", 99));
  CHECK_FALSE(site.count("2001:db8::/64"));
  // The device's own count is its own.
  CHECK(site.fresh.sql("select count from device_strings") == "6");
  CHECK(site.fresh.sql("select count from address_strings where address_block = '192.0.2.2'") == "49");
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
