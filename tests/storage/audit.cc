#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "capf/domain/audit_store.h"
#include "capf/domain/seal_store.h"
#include "tests/storage/samples.h"

namespace capf::test {
namespace {

using std::chrono::hours;

AuditEvent sample_event(const std::string& subject = "SEP1") {
  AuditEvent event;
  event.actor = {ActorKind::kAdministrator, "alice", "192.0.2.7"};
  event.action = "operation.schedule";
  event.subject = subject;
  event.detail = "install by string";
  return event;
}

TEST_CASE("an audit event keeps everything, and is found by subject, actor, action and time") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    const Operation operation = added_operation(tx, added_phone(tx));
    AuditEvent event = sample_event();
    event.operation_id = operation.id;
    event.outcome = "refused";
    event.reason = Reason::kOperationPending;
    good(tx.audit().add(event));
    AuditEvent other = sample_event("SEP2");
    other.actor = {ActorKind::kDevice, "SEP2", ""};
    other.action = "certificate.issue";
    good(tx.audit().add(other));

    const auto listed = [&](const AuditFilter& filter, const Page& page = {}) {
      std::string text;
      for (const AuditEvent& found : good(tx.audit().list(filter, page))) text += found.subject + " ";
      return text;
    };
    CHECK(listed({}) == "SEP1 SEP2 ");
    CHECK(listed({.subject = "SEP2"}) == "SEP2 ");
    CHECK(listed({.actor = "alice"}) == "SEP1 ");
    CHECK(listed({.action = "certificate"}) == "SEP2 ");
    CHECK(listed({.action = "operation.schedule"}) == "SEP1 ");
    CHECK(listed({.action = "operation.cancel"}).empty());
    CHECK(listed({.since = tx.now()}) == "SEP1 SEP2 ");
    CHECK(listed({.since = tx.now() + hours(1)}).empty());
    CHECK(listed({.until = tx.now()}).empty());
    CHECK(listed({.since = tx.now() - hours(1), .until = tx.now() + hours(1)}) == "SEP1 SEP2 ");
    CHECK(listed({}, {.newest = true}) == "SEP2 SEP1 ");
    CHECK(listed({.until = tx.now() + hours(1)}, {.limit = 1, .newest = true}) == "SEP2 ");
    const AuditEvent found = good(tx.audit().list({}, {0, 1})).front();
    CHECK(listed({.since = tx.now()}, {.after = found.id}) == "SEP2 ");
    CHECK(listed({.since = tx.now()}, {.after = found.id + 1, .newest = true}) == "SEP1 ");
    CHECK(listed({.since = tx.now()}, {.after = found.id + 1000}) == "SEP1 SEP2 ");  // archived meanwhile
    CHECK(listed({}, {found.id, 1}) == "SEP2 ");
    CHECK(found.at == tx.now());
    CHECK(found.actor.kind == ActorKind::kAdministrator);
    CHECK(found.actor.name == "alice");
    CHECK(found.actor.address == "192.0.2.7");
    CHECK(found.action == "operation.schedule");
    CHECK(found.operation_id == operation.id);
    CHECK(found.outcome == "refused");
    CHECK(found.reason == Reason::kOperationPending);
    CHECK(found.detail == "install by string");
  });
}

TEST_CASE("audit events are never changed, not even by the schema's owner") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) { good(tx.audit().add(sample_event())); });
  for (const char* text :
       {"update audit_events set detail = ''", "delete from audit_events", "truncate audit_events"}) {
    CHECK_THROWS_WITH(fresh.sql(text), Catch::Contains("never changed"));
    CHECK_THROWS_WITH(fresh.sql(text, "capf_server"), Catch::Contains("permission denied"));
  }
  CHECK(fresh.sql("select detail from audit_events") == "install by string");
}

TEST_CASE("the server says what happened, and neither when nor in which place") {
  const FreshDatabase fresh;
  const std::string rest =
      "actor_kind, actor, address, action, subject, outcome, detail) values (%, 'system', 'x', '', 'a.b', '', 'done', "
      "'')";
  for (const auto& [column, value] :
       {std::pair{"xid", "'4611686018427387904'"}, {"at", "now() - interval '100 days'"}}) {
    std::string text = "insert into audit_events (" + std::string(column) + ", " + rest;
    text.replace(text.find('%'), 1, value);
    CAPTURE(text);
    CHECK_THROWS_WITH(fresh.sql(text, "capf_server"), Catch::Contains("permission denied"));
  }
}

TEST_CASE("an event that somebody made up shows among those without a seal") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) { good(tx.audit().add(sample_event())); });
  const auto behind = [&] {
    return good(in_read(*database, [](Transaction& tx) { return tx.seals().after(ChangeCursor{}); }));
  };
  CHECK(behind().count == 1);
  CHECK(behind().oldest);
  CHECK(behind().made_up == 0);
  fresh.sql(
      "insert into audit_events (xid, actor_kind, actor, address, action, subject, outcome, detail) "
      "values ('4611686018427387904', 'system', 'x', '', 'a.b', '', 'done', '')");
  CHECK(behind().count == 2);
  CHECK(behind().made_up == 1);
}

TEST_CASE("a reader of changes loses no event of a transaction that ends late") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  Operation operation{.device = device()};
  in(*database, [&](Transaction& tx) { operation = added_operation(tx, added_phone(tx)); });
  const auto add = [&](Transaction& tx, const std::string& detail) {
    AuditEvent event = sample_event();
    event.operation_id = operation.id;
    event.detail = detail;
    good(tx.audit().add(event));
  };
  ChangeCursor cursor = good(in_read(*database, [](Transaction& tx) { return tx.audit().end(); }));
  const auto read = [&] {
    std::string text;
    for (const OperationChange& change :
         good(in_read(*database, [&](Transaction& tx) { return tx.audit().changes(cursor, 1); }))) {
      text += change.event.detail + " ";
      cursor = change.cursor;
      REQUIRE(change.operation);
      CHECK(change.operation->id == operation.id);
    }
    return text;
  };
  CHECK(read().empty());
  in(*database, [&](Transaction& slow) {
    add(slow, "slow");
    in(*database, [&](Transaction& quick) {
      add(quick, "quick");
      add(quick, "quicker");
      good(quick.audit().add(sample_event()));  // about no operation
    });
    CHECK(read().empty());
  });
  // Transactions of other tests, in other databases of the cluster, hold a reader back too: until they end.
  const auto next = [&] {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    std::string text;
    while (text.empty() && std::chrono::steady_clock::now() < deadline) text = read();
    return text;
  };
  CHECK(next() == "slow ");
  CHECK(next() == "quick ");
  in(*database, [&](Transaction& tx) { add(tx, "last"); });
  CHECK(next() == "quicker ");
  CHECK(next() == "last ");
  CHECK(read().empty());
}

TEST_CASE("where the record ends lies before what is still running") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  ChangeCursor cursor;
  in(*database, [&](Transaction& slow) {
    const Operation operation = added_operation(slow, added_phone(slow));
    AuditEvent event = sample_event();
    event.operation_id = operation.id;
    good(slow.audit().add(event));
    cursor = good(in_read(*database, [](Transaction& tx) { return tx.audit().end(); }));
  });
  std::size_t changes = 0;
  for (int i = 0; i < 100'000 && changes == 0; ++i) {
    changes = good(in_read(*database, [&](Transaction& tx) { return tx.audit().changes(cursor, 10); })).size();
  }
  CHECK(changes == 1);
}

TEST_CASE("refusals are one row a minute for address block, reason and device") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  const RefusalRecord unknown = sample_refusal("192.0.2.1", Reason::kUnknownDevice);
  const RefusalRecord changed = sample_refusal("192.0.2.1", Reason::kMicChanged, "SEP1");
  good(database->rounds().record(std::array{unknown, changed, unknown, unknown}));
  in(*database, [&](Transaction& tx) {
    const auto refusals = good(tx.audit().refusals(tx.now() - hours(1), std::nullopt, std::nullopt, {0, 10}));
    REQUIRE(refusals.size() == 2);
    CHECK(refusals[0].device == "SEP1");
    CHECK(refusals[1].count == 3);
    CHECK(refusals[1].address_block == "192.0.2.1");
    CHECK(refusals[1].reason == Reason::kUnknownDevice);
    CHECK(refusals[1].device.empty());
    CHECK(refusals[1].minute <= tx.now());
    CHECK(good(tx.audit().refusals(tx.now() - hours(1), std::nullopt, "SEP1", {0, 10})).size() == 1);
    CHECK(good(tx.audit().refusals(tx.now() - hours(1), std::nullopt, std::nullopt, {1, 10})).size() == 1);
    CHECK(good(tx.audit().refusals(tx.now() + hours(1), std::nullopt, std::nullopt, {0, 10})).empty());
    CHECK(good(tx.audit().refusals(tx.now() - hours(1), tx.now() - hours(1), std::nullopt, {0, 10})).empty());
    const auto newest = good(tx.audit().refusals(tx.now() - hours(1), tx.now(), std::nullopt, {0, 10, true}));
    REQUIRE(newest.size() == 2);
    CHECK(newest[1].device == "SEP1");
    CHECK(good(tx.audit().refusals(tx.now() - hours(1), std::nullopt, std::nullopt, {0, 1})).size() == 1);
  });
}

/// Returns when the database's minute has ten seconds left at least.
void await_room_in_minute(const FreshDatabase& fresh) {
  fresh.sql("select pg_sleep(61 - s) from extract(second from clock_timestamp()) as s where s > 50");
}

TEST_CASE("acts that are repeated are a few events a minute and one with their count, over all servers") {
  const FreshDatabase fresh;
  await_room_in_minute(fresh);
  const auto one = fresh.open();
  const auto other = fresh.open();
  const auto act = [](const std::string& actor, Reason reason) {
    AuditEvent event = sample_event(actor);
    event.actor = {ActorKind::kDevice, actor, "192.0.2.7"};
    event.action = "phone.request";
    event.outcome = "refused";
    event.reason = reason;
    return event;
  };
  int told = 0;
  const auto repeat = [&](Database& server, const AuditEvent& event) {
    in(server, [&](Transaction& tx) { told += good(tx.audit().add_repeated(event)) ? 1 : 0; });
  };
  for (int i = 0; i < 60; ++i) repeat(i % 2 == 0 ? *one : *other, act("SEP1", Reason::kCertificateLimit));
  const int began_again = told > kActsInAMinute ? 1 : 0;  // the clock may have gone on to the next minute
  CHECK(told <= (1 + began_again) * kActsInAMinute);
  repeat(*one, act("SEP1", Reason::kKeyCompromised));
  repeat(*one, act("SEP2", Reason::kCertificateLimit));
  CHECK(std::stoi(fresh.sql("select count(*) from audit_events where reason = 'KEY_COMPROMISED' or actor = 'SEP2'")) ==
        2);
  if (began_again == 0) {
    in(*one, [&](Transaction& tx) { good(tx.audit().report_repeated()); });
    CHECK(fresh.sql("select count(*) from audit_events") == "7");  // the minute is not over
    // The minute is over: the next event, or maintenance, adds the count.
    const auto pass = [&] { fresh.sql("update repeated_acts set minute = minute - interval '1 minute'", "postgres"); };
    pass();
    repeat(*other, act("SEP1", Reason::kCertificateLimit));
    CHECK(fresh.sql(
              "select actor || ' ' || action || ' ' || outcome || ' ' || reason || ' ' || split_part(detail, ' ', 1) "
              "from audit_events where detail like '%more like this%'") ==
          "SEP1 phone.request refused CERTIFICATE_LIMIT 55");
    for (int i = 0; i < 6; ++i) repeat(*one, act("SEP1", Reason::kCertificateLimit));
    pass();
    in(*one, [&](Transaction& tx) { good(tx.audit().report_repeated()); });
    CHECK(fresh.sql("select string_agg(split_part(detail, ' ', 1), ' ' order by id) from audit_events "
                    "where detail like '%more like this%'") == "55 2");
    CHECK(fresh.sql("select count(*) from repeated_acts") == "0");
  }
}

/// The database's minute, by its clock.
std::int64_t minute_of(const FreshDatabase& fresh) {
  return std::stoll(fresh.sql("select extract(epoch from date_trunc('minute', clock_timestamp()))::bigint / 60"));
}

TEST_CASE("servers that repeat one act at once lose none") {
  const FreshDatabase fresh;
  await_room_in_minute(fresh);
  const std::int64_t first = minute_of(fresh);
  std::atomic<int> told{0};
  std::vector<std::thread> servers;
  for (int s = 0; s < 4; ++s) {
    servers.emplace_back([&] {
      const auto database = fresh.open();
      for (int i = 0; i < 50; ++i) {
        const auto added = in_write(*database, [](Transaction& tx) { return tx.audit().add_repeated(sample_event()); });
        if (added && *added) ++told;
        const auto swept = database->write([](Transaction& tx) { return tx.audit().report_repeated(); });
        if (!added || !swept) told = 1000;
      }
    });
  }
  for (std::thread& server : servers) server.join();
  CHECK(told <= kActsInAMinute * (1 + minute_of(fresh) - first));
  fresh.sql("update repeated_acts set minute = minute - interval '1 minute'", "postgres");
  in(*fresh.open(), [](Transaction& tx) { good(tx.audit().report_repeated()); });
  CHECK(
      fresh.sql("select sum(case when detail like '%more like this%' then split_part(detail, ' ', 1)::int else 1 end) "
                "from audit_events") == "200");
}

TEST_CASE("ten minutes of a flood from ever new addresses stay below a megabyte") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  fresh.sql("create sequence flood; grant usage on sequence flood to capf_server");
  // Our own tables and what belongs to them: autovacuum, when it comes, adds maps to the catalogues of the database.
  const auto size = [&] {
    return std::stoll(
        fresh.sql("select sum(pg_total_relation_size(oid)) from pg_class where relkind in ('r', 'S') and "
                  "relnamespace = 'public'::regnamespace"));
  };
  const auto before = size();
  const std::int64_t first = minute_of(fresh);
  for (int minute = 0; minute < 10; ++minute) {
    fresh.sql(
        "do $$ begin for i in 1..1500 loop "
        "perform count_refusal('2001:db8:' || to_hex(nextval('flood')) || '::/64', 'AUTH_STRING_MISMATCH', "
        "'SEP001122334455', 400); "
        "perform count_strangers_string('2001:db8:' || to_hex(currval('flood')) || '::/64', i, 50, 1000); "
        "commit; end loop; end $$",
        "capf_server");
    CHECK(std::stoi(fresh.sql("select max(count) from (select count(*) from refusals group by minute) as m")) <= 401);
    // The next minute: makes the counts a minute older.
    for (const char* step : {"- interval '9999 minutes'", "+ interval '9998 minutes'"}) {
      fresh.sql(std::string("update refusal_minutes set minute = minute ") + step);
      fresh.sql(std::string("update refusals set minute = minute ") + step);
    }
    fresh.sql("vacuum full refusals", "postgres");
    fresh.sql("vacuum address_strings", "postgres");  // as autovacuum does each minute
  }
  // Eight hundred in ten minutes, and one for the rest of each; more for each minute that the clock went on meanwhile.
  CHECK(std::stoll(fresh.sql("select count(*) from refusals")) <= 810 + 401 * (minute_of(fresh) - first));
  CHECK(fresh.sql("select sum(count) from refusals") == "15000");
  CHECK(std::stoll(fresh.sql("select count(*) from address_strings")) == 1000);
  // Rows that are dead stay as long as autovacuum, which may look at the catalogues just now, has a snapshot with them.
  const auto swept = [&] {
    for (const char* table : {"refusals", "address_strings"}) {
      fresh.sql(std::string("vacuum full ") + table, "postgres");
    }
    return size() - before < 1'000'000;
  };
  bool is_small = swept();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!is_small && std::chrono::steady_clock::now() < deadline) is_small = swept();
  CHECK(is_small);
}

}  // namespace
}  // namespace capf::test
