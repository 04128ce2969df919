#include <atomic>
#include <thread>

#include <pqxx/transaction>

#include "storage/conninfo.h"
#include "storage/session.h"
#include "tests/storage/samples.h"

namespace capf::test {
namespace {

/// Phones with an open operation that asks for a string.
struct Phones {
  FreshDatabase fresh;
  std::unique_ptr<storage::PostgresDatabase> database = fresh.open();
  std::vector<HeardString> wrong;  ///< one for each phone, from one address

  explicit Phones(int count, int strings_limit = 100) {
    in(*database, [&](Transaction& tx) {
      for (int i = 0; i < count; ++i) {
        const Phone phone = added_phone(tx, device("SEP" + std::to_string(100'000'000'000 + i)));
        const Operation operation = added_operation(tx, phone, strings_limit);
        wrong.push_back({{"192.0.2.1", i + 1}, phone.id, operation.id, false});
      }
    });
  }
  HeardString of(std::size_t phone, const std::string& address, std::int64_t string) const {
    HeardString heard = wrong[phone];
    heard.said.address_block = address;
    heard.said.string = string;
    return heard;
  }
  std::optional<Reason> hear(const HeardString& heard) const { return good(database->rounds().hear(heard)); }
  /// Hears it, and says whether its transaction has a number, without which its end waits for no disk.
  bool costs_commit(const HeardString& heard) const {
    const StringTry& said = heard.said;
    return fresh.sql("select hear_strings(array[" + std::to_string(heard.phone_id) + "::bigint], array[" +
                         std::to_string(heard.operation_id) + "::bigint], array['" + said.address_block + "'], array[" +
                         std::to_string(said.string) + "::bigint], array[" + std::to_string(said.per_address) +
                         "], array[" + (heard.right ? "true" : "false") + "], " + std::to_string(kStringsPerDevice) +
                         ", interval '10 minutes', " + std::to_string(kStringsPerAddressAndDevice) +
                         ", 1000); select pg_current_xact_id_if_assigned() is not null",
                     "capf_server") == "t";
  }
  std::string count(const std::string& what) const { return fresh.sql("select coalesce(sum(count), 0) from " + what); }
};

/// Hears all of them at once, on so many threads, by turns over the databases of two servers. @return how many count
int heard_at_once(const Phones& phones, const std::vector<HeardString>& all) {
  constexpr std::size_t kThreads = 32;
  const auto second = phones.fresh.open();
  std::atomic<int> compared{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = t; i < all.size(); i += kThreads) {
        Rounds& rounds = i % 2 == 0 ? phones.database->rounds() : second->rounds();
        const auto limit = rounds.hear(all[i]);
        if (limit && !*limit) ++compared;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return compared;
}

TEST_CASE("of a thousand wrong strings for one device from many addresses at once ten are compared, over two servers") {
  const Phones phones(1, 1000);
  std::vector<HeardString> all;
  for (int i = 0; i < 1000; ++i) all.push_back(phones.of(0, "192.0.2." + std::to_string(i % 250), i));
  CHECK(heard_at_once(phones, all) == kStringsPerDevice);
}

TEST_CASE("from one address five are compared on one device, and fifty on a hundred") {
  const Phones phones(100, 1000);
  std::vector<HeardString> all;
  for (int i = 0; i < 200; ++i) all.push_back(phones.of(0, "192.0.2.1", i));
  CHECK(heard_at_once(phones, all) == kStringsPerAddressAndDevice);
  for (int i = 0; i < 400; ++i) all.push_back(phones.of(static_cast<std::size_t>(i % 100), "192.0.2.7", 1000 + i));
  CHECK(heard_at_once(phones, all) == kStringsPerAddress);
}

TEST_CASE("eight are on record and five come at once: two are compared") {
  const Phones phones(1, 1000);
  for (int i = 0; i < 8; ++i) REQUIRE_FALSE(phones.hear(phones.of(0, "192.0.2." + std::to_string(i), i)));
  std::vector<HeardString> five;
  for (int i = 8; i < 13; ++i) five.push_back(phones.of(0, "192.0.2." + std::to_string(i), i));
  CHECK(heard_at_once(phones, five) == 2);
}

TEST_CASE("a right string is refused by a limit that is reached, and counts nothing where none is") {
  const Phones phones(1, 1000);
  HeardString right = phones.of(0, "192.0.2.1", 1);
  right.right = true;
  for (int i = 0; i < 100; ++i) CHECK_FALSE(phones.hear(right));
  CHECK(phones.count("device_strings") == "0");
  CHECK(phones.count("address_strings") == "0");
  CHECK(phones.count("operation_strings") == "0");
  for (int i = 0; i < kStringsPerDevice; ++i) phones.hear(phones.of(0, "198.51.100." + std::to_string(i), i));
  CHECK(phones.hear(right) == Reason::kAuthStringLocked);
}

TEST_CASE("a right string writes nothing, so it waits for no disk, every other one costs a commit, known name or not") {
  const Phones phones(2, 1000);
  const auto transactions = [&](const HeardString& heard) { return phones.costs_commit(heard) ? 1 : 0; };
  HeardString right = phones.of(0, "192.0.2.1", 1);
  right.right = true;
  CHECK(transactions(right) == 0);
  HeardString stranger = right;
  stranger.phone_id = stranger.operation_id = 0;
  CHECK(transactions(stranger) == 1);
  CHECK(transactions(stranger) == 1);  // the same again
  CHECK(transactions(phones.of(0, "192.0.2.1", 7)) == 1);
  for (int i = 0; i < kStringsPerAddressAndDevice; ++i) phones.hear(phones.of(0, "192.0.2.1", 10 + i));
  CHECK(phones.hear(phones.of(0, "192.0.2.1", 7)) == Reason::kAddressLimited);
  CHECK(transactions(phones.of(0, "192.0.2.1", 7)) == 1);   // a limit of the device, said before
  CHECK(transactions(phones.of(0, "192.0.2.1", 99)) == 1);  // and new
}

TEST_CASE("the time tells no names: an address that has used up its strings costs no commit, one without room does") {
  const Phones phones(1, 1000);
  const auto commits = [&](HeardString heard, int per_address, bool stranger) {
    heard.said.per_address = per_address;
    if (stranger) heard.phone_id = heard.operation_id = 0;
    return phones.costs_commit(heard) ? 1 : 0;
  };
  const HeardString said = phones.of(0, "192.0.2.1", 7);
  CHECK(commits(said, 2, false) == 1);
  CHECK(commits(said, 2, true) == 1);
  CHECK(phones.count("address_strings") == "2");
  CHECK(commits(said, 2, false) == 0);  // said before, by a device that has a string
  CHECK(commits(said, 2, true) == 0);
  CHECK(commits(phones.of(0, "192.0.2.1", 8), 2, false) == 0);

  phones.fresh.sql(
      "insert into address_strings (address_block, count, since) "
      "select '198.51.100.' || i, 1, now() from generate_series(1, 1000) as i");
  CHECK(commits(phones.of(0, "203.0.113.1", 1), kStringsPerAddress, true) == 1);
  CHECK(phones.fresh.sql("select count(*) from address_strings where address_block = '203.0.113.1'") == "0");
  CHECK(commits(phones.of(0, "203.0.113.2", 1), kStringsPerAddress, false) == 1);
}

TEST_CASE("an operation's strings are used up") {
  const Phones phones(1, 3);
  for (int i = 0; i < 3; ++i) CHECK_FALSE(phones.hear(phones.of(0, "192.0.2." + std::to_string(i), i)));
  CHECK(phones.hear(phones.of(0, "192.0.2.9", 9)) == Reason::kAuthStringExhausted);
}

TEST_CASE("strings for one name wait for each other, whether or not there is such a device, and for no other name") {
  const Phones phones(1);
  storage::Connection other(good(storage::link_settings(phones.fresh.conninfo(), {})));
  pqxx::work holder(other.link);
  const auto held = GENERATE_REF(phones.wrong.front().phone_id, std::int64_t{-5});
  holder.exec("select lock_strings(array[" + std::to_string(held) + "::bigint], '{}')");
  HeardString heard = phones.of(0, "192.0.2.2", 1);
  heard.phone_id = held;
  const auto waited = phones.database->rounds().hear(heard);
  REQUIRE_FALSE(waited);
  CHECK(waited.error().reason == Reason::kOverloaded);
  heard.phone_id = -6;
  CHECK_FALSE(phones.hear(heard));
}

TEST_CASE("strings of a round that share addresses and devices in opposite orders do not hold each other up") {
  const Phones phones(20, 1000);
  std::vector<HeardString> all;
  for (int i = 0; i < 400; ++i) {
    const int turned = i % 2 == 0 ? i : 400 - i;
    all.push_back(phones.of(static_cast<std::size_t>(turned % 20), "192.0.2." + std::to_string(turned % 7), i % 3));
    all.back().right = i % 5 == 0;
  }
  const auto second = phones.fresh.open();
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 16; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = t; i < all.size(); i += 16) {
        if (!(t % 2 == 0 ? phones.database->rounds() : second->rounds()).hear(all[i])) ++failed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failed == 0);
}

}  // namespace
}  // namespace capf::test
