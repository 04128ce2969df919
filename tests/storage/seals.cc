#include <optional>
#include <thread>

#include <botan/system_rng.h>

#include "capf/ca/audit.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/lease_store.h"
#include "capf/domain/seal_store.h"
#include "capf/service/records.h"
#include "capf/service/sealer.h"
#include "capf/service/siteclock.h"
#include "storage/archive.h"
#include "tests/storage/samples.h"
#include "tests/support/marks.h"

namespace capf::test {
namespace {

/// One server that seals.
struct Server {
  Server(Database& database, const ca::SigningKey& key, const std::string& name)
      : sealer(database, key, marks, high_water, record, clock, name, Botan::system_rng()) {}
  MarksInMemory marks;
  service::HighWater high_water;
  service::RecordState record;
  SystemClock system;
  service::SiteClock clock{system, TimePoint()};
  service::Sealer sealer;
};

class Sealed {
 public:
  void add(const std::string& detail = "detail") {
    in(*database, [&](Transaction& tx) { add_in(tx, detail); });
  }
  static void add_in(Transaction& tx, const std::string& detail) {
    AuditEvent event;
    event.actor = {ActorKind::kAdministrator, "alice", "192.0.2.7"};
    event.action = "phone.add";
    event.subject = "SEP1";
    event.detail = detail;
    good(tx.audit().add(event));
  }
  /// Transactions of other tests, in other databases of the cluster, hold events back too: until they end.
  std::int64_t seal(Server& server, std::int64_t at_least) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::chrono::steady_clock::now() < deadline) {
      const auto last = good(server.sealer.run());
      if (last && last->number >= at_least) return last->number;
    }
    FAIL("nothing was sealed");
    return 0;
  }
  std::string value(const std::string& query) const { return fresh.sql(query); }

  const FreshDatabase fresh;
  std::unique_ptr<storage::PostgresDatabase> database = fresh.open(8);
  std::unique_ptr<ca::SigningKey> key = good(ca::generate_key(ca::KeyAlgorithm::kP256));
};

TEST_CASE("seals cover every event once, in a chain that is signed") {
  Sealed record;
  Server server(*record.database, *record.key, "one");
  CHECK_FALSE(good(server.sealer.run()));
  for (int i = 0; i < 3; ++i) record.add(std::to_string(i));
  record.seal(server, 1);
  record.add("last");
  const std::int64_t last = record.seal(server, good(server.sealer.check())->number + 1);

  service::Records records(*record.database);
  Sha256 previous{};
  std::string details;
  for (std::int64_t number = 0; number < last;) {
    const auto page = good(records.seals(number));
    REQUIRE_FALSE(page.batches.empty());
    for (const service::SealedBatch& batch : page.batches) {
      CHECK(batch.seal.number == ++number);
      CHECK(batch.seal.previous == previous);
      CHECK(batch.seal.content == content_of(batch.events));
      CHECK(static_cast<int>(batch.events.size()) == batch.seal.events);
      CHECK(ca::is_sealed(record.key->public_key(), seal_text(batch.seal), batch.seal.signature));
      previous = sha256(seal_text(batch.seal));
      for (const AuditRecord& event : batch.events) details += event.detail + ' ';
    }
  }
  CHECK(details == "0 1 2 last ");
  const auto end = good(records.seals(last));
  CHECK(end.batches.empty());
  CHECK(end.unsealed.count == 0);
  CHECK(server.marks.marks["seal"] == std::to_string(last) + ' ' + to_hex(previous));
}

TEST_CASE("an event of a transaction that still runs is sealed when it has ended, and before it nothing that follows") {
  Sealed record;
  Server server(*record.database, *record.key, "one");
  in(*record.database, [&](Transaction& slow) {
    Sealed::add_in(slow, "slow");
    record.add("quick");
    CHECK_FALSE(good(server.sealer.run()));
  });
  record.seal(server, 1);
  const auto page = good(service::Records(*record.database).seals(0));
  REQUIRE_FALSE(page.batches.empty());
  CHECK(page.batches.front().events.front().detail == "slow");
}

TEST_CASE("a seal that had to wait for its lease is not older than what it covers") {
  Sealed record;
  Server server(*record.database, *record.key, "one");
  record.add("before");
  std::thread sealing;
  in(*record.database, [&](Transaction& other) {
    good(other.leases().take("audit", "other", 0));
    sealing = std::thread([&] { record.seal(server, 1); });
    const std::string waits =
        "select count(*) from pg_stat_activity where datname = current_database() and "
        "wait_event_type = 'Lock'";
    while (record.fresh.sql(waits, "postgres") == "0") std::this_thread::yield();
    record.add("meanwhile");
  });
  sealing.join();
  const std::string sealed = "select sum(events) from audit_seals";
  if (record.value(sealed) != "2") record.seal(server, 2);  // held back by another test
  CHECK(record.value("select count(*) from audit_events where at > (select max(sealed_at) from audit_seals)") == "0");
  CHECK(record.value(sealed) == "2");
}

TEST_CASE("two servers that seal at once make one chain") {
  Sealed record;
  Server one(*record.database, *record.key, "one");
  Server two(*record.database, *record.key, "two");
  const auto work = [&](Server& server) {
    for (int i = 0; i < 20; ++i) {
      // The lease goes from one to the other at any moment.
      good(record.database->write([](Transaction& tx) {
        return tx.audit().add([] {
          AuditEvent event;
          event.actor = {ActorKind::kSystem, "test", ""};
          event.action = "phone.add";
          event.subject = "SEP1";
          return event;
        }());
      }));
      record.fresh.sql("update leases set expires_at = now() where name = 'audit'");
      good(server.sealer.run());
    }
  };
  std::thread other([&] { work(two); });
  work(one);
  other.join();
  record.seal(one, 1);
  const std::string unsealed =
      "select count(*) from audit_events where (xid, id) > "
      "(select last_xid, last_id from audit_seals order by number desc limit 1)";
  while (record.value(unsealed) != "0") good(one.sealer.run());
  CHECK(record.value("select sum(events) from audit_seals") == "40");
  CHECK(record.value("select count(*) = max(number) from audit_seals") == "t");
  CHECK(record.value("select count(*) from audit_seals a left join audit_seals b on b.number = a.number - 1 "
                     "where a.previous <> coalesce(b.sha256, decode(repeat('00', 32), 'hex'))") == "0");
  good(two.sealer.check());
  CHECK(two.marks.marks == one.marks.marks);
}

TEST_CASE("a batch has its bound, and what is left follows in the next ones") {
  Sealed record;
  Server server(*record.database, *record.key, "one");
  in(*record.database, [&](Transaction& tx) {
    for (int i = 0; i < 2 * kLargestBatch + 1; ++i) Sealed::add_in(tx, std::to_string(i));
  });
  CHECK(record.seal(server, 3) == 3);
  CHECK(record.value("select string_agg(events::text, ' ' order by number) from audit_seals") == "500 500 1");
}

TEST_CASE("a database that was set back behind the mark issues nothing and seals nothing") {
  Sealed record;
  Server server(*record.database, *record.key, "one");
  record.add();
  record.seal(server, 1);
  const auto refused = [](const auto& result) { return result ? Reason::kInternal : result.error().reason; };
  good(server.high_water.check());
  const std::string before = server.marks.marks["seal"];

  SECTION("it ends before the mark") { server.marks.marks["seal"] = "2" + before.substr(1); }
  SECTION("it has gone another way since") { server.marks.marks["seal"].back() ^= 1; }
  record.add("after it was restored");
  CHECK(refused(server.sealer.run()) == Reason::kDatabaseBehind);
  CHECK(refused(server.high_water.check()) == Reason::kDatabaseBehind);
  CHECK(record.value("select count(*) from audit_seals") == "1");

  server.marks.marks["seal"] = before;
  record.seal(server, 2);
  good(server.high_water.check());
}

TEST_CASE("a server whose mark cannot be read does not begin") {
  Sealed record;
  Server server(*record.database, *record.key, "one");
  good(server.sealer.open());
  for (const char* mark : {"0 -", "12 ab"}) {
    server.marks.marks["seal"] = mark;
    good(server.sealer.open());
  }
  for (const char* mark : {"", "12", "-1 ab", "twelve ab"}) {
    CAPTURE(mark);
    server.marks.marks["seal"] = mark;
    CHECK(server.sealer.open().error().reason == Reason::kInvalidConfiguration);
  }
}

TEST_CASE("a seal that somebody else signed is not taken over into the mark") {
  Sealed record;
  Server server(*record.database, *record.key, "one");
  record.add();
  record.seal(server, 1);
  const auto other = good(ca::generate_key(ca::KeyAlgorithm::kP256));
  AuditSeal forged = *good(server.sealer.check());
  forged.previous = forged.sha256;
  ++forged.number;
  forged.sha256 = sha256(seal_text(forged));
  forged.signature = good(ca::sign_seal(*other, seal_text(forged), Botan::system_rng()));
  in(*record.database, [&](Transaction& tx) { good(tx.seals().add(forged)); });
  REQUIRE(record.value("select count(*) from audit_seals") == "2");
  const auto checked = server.sealer.check();
  REQUIRE_FALSE(checked);
  CHECK(checked.error().reason == Reason::kRecordBroken);
  CHECK(server.marks.marks["seal"].starts_with("1 "));
}

Reason refusal(const Status& status) { return status ? Reason::kInternal : status.error().reason; }

TEST_CASE("a made-up seal stops sealing and readiness, until somebody says so and the chain goes on after it") {
  Sealed record;
  Server server(*record.database, *record.key, "one");
  in(*record.database, [&](Transaction& tx) { good(tx.seals().set_key(record.key->public_key())); });
  record.add("first");
  record.seal(server, 1);
  good(server.record.check());
  const std::string made_up =
      "insert into audit_seals (number, sealed_at, events, last_xid, last_id, content, previous, sha256, signature) "
      "values (NUMBER, now() + interval '9 years', 1, '4611686018427387904', 9, sha256('a'), sha256('b'), "
      "sha256(random()::text::bytea), sha256('c'))";
  const auto insert = [&](const std::string& number) {
    std::string statement = made_up;
    statement.replace(statement.find("NUMBER"), 6, number);
    record.fresh.sql(statement, "capf_server");
  };
  CHECK_THROWS_WITH(insert("9223372036854775807"), Catch::Contains("seals have no gaps"));
  insert("2");
  insert("3");
  record.add("second");
  const auto stopped = server.sealer.run();
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().reason == Reason::kRecordBroken);
  CHECK(refusal(server.record.check()) == Reason::kRecordBroken);

  CHECK(good(server.sealer.disown()) == 2);
  CHECK(good(server.sealer.disown()) == 2);  // and no remark twice
  CHECK(record.value("select count(*) from seal_remarks") == "2");
  record.seal(server, 4);
  good(server.record.check());
  Server later(*record.database, *record.key, "later");
  CHECK(good(later.sealer.check())->number >= 4);

  // The record is the chain without them.
  std::string details;
  Sha256 previous{};
  for (std::int64_t number = 0;;) {
    const auto page = good(service::Records(*record.database).seals(number));
    if (page.batches.empty()) break;
    for (const service::SealedBatch& batch : page.batches) {
      CHECK(batch.seal.number == ++number);
      CHECK(batch.remarks.size() == (number == 2 || number == 3 ? 1 : 0));
      if (!batch.remarks.empty()) continue;
      CHECK(batch.seal.previous == previous);
      previous = batch.seal.sha256;
      for (const AuditRecord& event : batch.events) details += event.detail + ' ';
    }
  }
  CHECK(details == "first second ");
  // A restart continues with the numbers.
  CHECK_FALSE(good(in_write(*record.database, [](Transaction& tx) { return tx.seals().adopt_cluster(); })));
}

TEST_CASE("a remark that the audit key has not signed makes no seal made up") {
  Sealed record;
  Server server(*record.database, *record.key, "one");
  record.add();
  record.seal(server, 1);
  record.fresh.sql(
      "insert into seal_remarks (number, kind, words, signature) values (1, 'made_up', 'x', '\\x0102030405060708')",
      "capf_server");
  record.add();
  record.seal(server, 2);
  CHECK(record.value("select previous = (select sha256 from audit_seals where number = 1) from audit_seals "
                     "where number = 2") == "t");
}

TEST_CASE(
    "a record that cannot be written is not ready, and an event of a transaction that nobody gives out moves nothing") {
  Sealed record;
  Server server(*record.database, *record.key, "one");
  record.fresh.sql(
      "insert into audit_events (xid, actor_kind, actor, address, action, subject, outcome, detail) "
      "values ('9223372036854775806', 'system', 'a', '', 'phone.add', 'SEP1', 'done', 'made up')");
  CHECK_FALSE(good(in_write(*record.database, [](Transaction& tx) { return tx.seals().adopt_cluster(); })));
  record.add();
  record.seal(server, 1);
  good(server.record.check());
  record.fresh.sql("update transaction_offset set value = 9223372036854775807");
  CHECK_FALSE(server.sealer.run());
  CHECK_FALSE(server.record.check());
  record.fresh.sql("update transaction_offset set value = 0");
  good(server.sealer.run());
  good(server.record.check());
}

TEST_CASE("events of a clock that was ahead get a remark, and what follows them none") {
  Sealed record;
  Server server(*record.database, *record.key, "one");
  record.add("before");
  record.seal(server, 1);
  record.fresh.sql(
      "insert into audit_events (at, actor_kind, actor, address, action, subject, outcome, detail) "
      "values (now() + interval '2 hours', 'system', 'a', '', 'phone.add', 'SEP1', 'done', 'ahead')");
  record.seal(server, 2);
  record.add("after");
  record.seal(server, 3);
  while (record.value("select sum(events) from audit_seals") != "3") good(server.sealer.run());
  const std::string of_ahead =
      "(select min(number) from audit_seals where last_xid >= (select xid from audit_events where detail = 'ahead'))";
  CHECK(record.value("select count(*) || '|' || (min(number) = " + of_ahead + ") from seal_remarks") == "1|true");
}

TEST_CASE(
    "a site whose clock was ahead stands still until the clock has passed it, or somebody says that it is right") {
  Sealed record;
  Server server(*record.database, *record.key, "one");
  record.add();
  record.seal(server, 1);
  const auto seal = *good(server.sealer.check());
  server.clock.set("the last seal", seal.sealed_at + std::chrono::hours{2});
  record.add();
  const auto skewed = server.sealer.run();
  REQUIRE_FALSE(skewed);
  CHECK(skewed.error().reason == Reason::kClockSkew);
  CHECK_THAT(skewed.error().message, Catch::Contains("the last seal is of"));
  good(server.record.check());  // it is the clock's fault
  server.clock.confirm();
  record.seal(server, 2);
}

TEST_CASE("a dump that was restored into a younger cluster goes on where it ended") {
  Sealed record;
  Server server(*record.database, *record.key, "one");
  // As restored from such a dump.
  record.fresh.sql(
      "insert into audit_events (xid, actor_kind, actor, address, action, subject, outcome, detail) "
      "values ('4000000000000', 'system', 'a', '', 'phone.add', 'SEP1', 'done', 'old')");
  CHECK(good(in_write(*record.database, [](Transaction& tx) { return tx.seals().adopt_cluster(); })));
  CHECK_FALSE(good(in_write(*record.database, [](Transaction& tx) { return tx.seals().adopt_cluster(); })));
  record.add("new");
  record.seal(server, 1);
  while (record.value("select sum(events) from audit_seals") != "2") good(server.sealer.run());
  CHECK(record.value("select string_agg(detail, ' ' order by xid, id) from audit_events") == "old new");
}

TEST_CASE("seals and the audit key on record are never changed, and the server may only add them") {
  Sealed record;
  Server server(*record.database, *record.key, "one");
  record.add();
  record.seal(server, 1);
  in(*record.database, [&](Transaction& tx) {
    CHECK(good(tx.seals().set_key(record.key->public_key())));
    CHECK_FALSE(good(tx.seals().set_key(Bytes(40, 1))));
    CHECK(good(tx.seals().key()) == record.key->public_key());
  });
  for (const char* table : {"audit_seals", "audit_key"}) {
    const std::string name(table);
    CHECK_THROWS_WITH(record.fresh.sql("delete from " + name), Catch::Contains("never changed"));
    CHECK_THROWS_WITH(record.fresh.sql("delete from " + name, "capf_server"), Catch::Contains("permission denied"));
  }
}

TEST_CASE("who archives may delete, the server may not, and nobody may change") {
  Sealed record;
  record.add();
  const std::string say = "set capf.archiving = 'on'; ";
  CHECK_THROWS_WITH(record.fresh.sql(say + "delete from audit_events", "capf_server"),
                    Catch::Contains("permission denied"));
  CHECK_THROWS_WITH(record.fresh.sql(say + "update audit_events set detail = ''"), Catch::Contains("never changed"));
  CHECK_THROWS_WITH(record.fresh.sql(say + "truncate audit_events"), Catch::Contains("never changed"));
  record.fresh.sql(say + "delete from audit_events");
  CHECK(record.value("select count(*) from audit_events") == "0");
}

TEST_CASE("an archive goes on with the record that its last seal is of, and with no other one") {
  Sealed record;
  Server server(*record.database, *record.key, "one");
  record.add("1");
  record.seal(server, 1);
  record.add("2");
  const std::int64_t last = record.seal(server, good(server.sealer.check())->number + 1);
  std::optional<AuditSeal> first;
  in(*record.database, [&](Transaction& tx) { first = good(tx.seals().find(1)); });
  REQUIRE(first);
  const Bytes other(first->signature.size(), 1);

  const auto archive = good(storage::Archive::open(record.fresh.conninfo("capf_owner")));
  CHECK(good(archive->continues(1, first->signature)));
  CHECK_FALSE(good(archive->continues(1, other)));         // the numbers were given again after a restore
  CHECK_FALSE(good(archive->continues(last + 1, other)));  // they will be
  record.fresh.sql("set capf.archiving = 'on'; delete from audit_seals where number = 1");
  CHECK(good(archive->continues(1, first->signature)));
}

}  // namespace
}  // namespace capf::test
