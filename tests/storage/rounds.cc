#include "storage/rounds.h"

#include <atomic>
#include <future>
#include <thread>

#include "tests/storage/samples.h"

namespace capf::test {
namespace {

/// Another transaction that holds what its statement locks, until the end.
class Holder {
 public:
  Holder(const FreshDatabase& fresh, const Phone& phone)
      : Holder(fresh, {"hold", "select from phones where id = $1::bigint for update"}, storage::Parameters(phone.id)) {}
  Holder(const FreshDatabase& fresh, const storage::Statement& locks,
         const storage::Parameters& parameters = storage::Parameters())
      : connection_(good(storage::link_settings(fresh.conninfo("capf_owner"), {}))), session_(connection_) {
    good(session_.begin(storage::Access::kWrite));
    good(session_.execute(locks, parameters));
  }

 private:
  storage::Connection connection_;
  storage::Session session_;
};

struct Fleet {
  FreshDatabase fresh;
  std::unique_ptr<storage::PostgresDatabase> database;
  std::vector<Phone> phones;

  explicit Fleet(int count, std::chrono::milliseconds lock_wait = std::chrono::seconds(5)) {
    storage::DatabaseSettings settings;
    settings.rounds = 1;
    settings.limits.lock = lock_wait;
    database = fresh.open(settings);
    in(*database, [&](Transaction& tx) {
      for (int i = 0; i < count; ++i) {
        phones.push_back(added_phone(tx, device("SEP" + std::to_string(100'000'000'000 + i))));
      }
    });
  }

  Dossier look(const Phone& phone) const {
    return good(database->rounds().look({.device = phone.device}, Share::kRpc, {}));
  }
  /// A change that writes one event, if nothing of the phone has changed since now.
  Change event(const Phone& phone) const {
    const Dossier dossier = look(phone);
    AuditEvent event;
    event.actor = {ActorKind::kDevice, phone.device.text(), "192.0.2.1"};
    event.action = "phone.test";
    event.subject = phone.device.text();
    return {{.phone_id = phone.id,
             .revision = dossier.revision,
             .postmaster_start = dossier.postmaster_start,
             .looked_at = dossier.now},
            {AddEvent{event}, SetModel{"CP-" + std::to_string(dossier.revision)}}};
  }
  Result<Written> write(const Change& change, const std::function<bool()>& gone = {}) const {
    return database->rounds().write(change, Share::kRpc, gone);
  }
  /// How many events there are, and of how many phones.
  std::string events() const {
    return fresh.sql("select count(*) || ' ' || count(distinct subject) from audit_events where action = 'phone.test'");
  }
};

/// Writes all of them at the same time. @return what came of each
std::vector<Result<Written>> written_at_once(const Fleet& fleet, const std::vector<Change>& changes) {
  std::vector<std::future<Result<Written>>> waiting;
  for (const Change& change : changes) {
    waiting.push_back(std::async(std::launch::async, [&] { return fleet.write(change); }));
  }
  std::vector<Result<Written>> written;
  for (auto& each : waiting) written.push_back(each.get());
  return written;
}

std::vector<Change> events_of_all(const Fleet& fleet) {
  std::vector<Change> changes;
  for (const Phone& phone : fleet.phones) changes.push_back(fleet.event(phone));
  return changes;
}

Reason reason_of(const Result<Written>& result) { return result ? Reason::kInternal : result.error().reason; }

/// PostgreSQL cuts each connection that writes an event, and counts the events that were tried.
/// @param trigger its beginning, which says when: as soon as the statement ends, or at the commit
void cut_writers(const Fleet& fleet, const std::string& trigger) {
  fleet.fresh.sql(
      "create sequence tried; "
      "create function try() returns trigger language plpgsql security definer as $$ begin "
      "perform nextval('tried'); return new; end $$; "
      "create trigger tried before insert on audit_events for each row execute function try(); "
      "create function die() returns trigger language plpgsql security definer as $$ begin "
      "perform pg_terminate_backend(pg_backend_pid()); return null; end $$; " +
          trigger + " for each row execute function die()",
      "postgres");
}

TEST_CASE("of sixty-four phones that are written at once each has its own outcome, whichever of them differs") {
  const Fleet fleet(64);
  std::vector<Change> changes = events_of_all(fleet);
  for (std::size_t odd = 0; odd < changes.size(); odd += 9) --changes[odd].basis.revision;
  const auto written = written_at_once(fleet, changes);
  for (std::size_t i = 0; i < written.size(); ++i) {
    CHECK(written[i].has_value() == (i % 9 != 0));
    if (i % 9 == 0) CHECK(reason_of(written[i]) == Reason::kChangedMeanwhile);
  }
  CHECK(fleet.events() == "56 56");
}

TEST_CASE("a phone that makes its round fail is found by halves, and the others are written") {
  const Fleet fleet(64);
  for (const std::size_t bad : {std::size_t{0}, std::size_t{31}, std::size_t{63}}) {
    std::vector<Change> changes = events_of_all(fleet);
    changes[bad].writes.emplace_back(EndOperation{.id = 123456789});  // there is none
    const auto written = written_at_once(fleet, changes);
    for (std::size_t i = 0; i < written.size(); ++i) CHECK(written[i].has_value() == (i != bad));
  }
  CHECK(fleet.events() == "189 64");
}

TEST_CASE("a member with what a table refuses is found by halves, and the others are written") {
  const Fleet fleet(16);
  std::vector<Change> changes = events_of_all(fleet);
  std::get<AddEvent>(changes[5].writes.front()).event.outcome = "unheard of";
  const auto written = written_at_once(fleet, changes);
  for (std::size_t i = 0; i < written.size(); ++i) CHECK(written[i].has_value() == (i != 5));
  CHECK(reason_of(written[5]) == Reason::kInternal);
  CHECK(fleet.events() == "15 15");
}

TEST_CASE("a phone that another transaction has locked goes alone, and waits for it, the others do not") {
  const Fleet fleet(8);
  std::vector<Change> changes = events_of_all(fleet);
  auto holder = std::make_unique<Holder>(fleet.fresh, fleet.phones[3]);
  auto locked = std::async(std::launch::async, [&, change = changes[3]] { return fleet.write(change); });
  changes.erase(changes.begin() + 3);
  for (const auto& written : written_at_once(fleet, changes)) CHECK(written);
  CHECK(fleet.events() == "7 7");
  holder.reset();
  CHECK(locked.get());
  CHECK(fleet.events() == "8 8");
}

TEST_CASE("halves that all wait for one lock end soon, because the next round waits for them") {
  const Fleet fleet(32, std::chrono::milliseconds(300));
  const std::vector<Change> changes = events_of_all(fleet);
  fleet.fresh.sql(
      "create function wait() returns trigger language plpgsql security definer as $$ begin "
      "perform pg_advisory_xact_lock(20); return new; end $$; "
      "create trigger waits before insert on audit_events for each row execute function wait()",
      "postgres");
  const Holder holder(fleet.fresh, {"hold", "select pg_advisory_xact_lock(20)"});
  const auto begun = std::chrono::steady_clock::now();
  for (const auto& written : written_at_once(fleet, changes)) CHECK(reason_of(written) == Reason::kOverloaded);
  // 63 halves of 200 ms each would take longer than that before anyone wrote alone.
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(9));
}

TEST_CASE("a lone write that waits for a lock ends with its patience, and at once with its caller") {
  const Fleet fleet(2, std::chrono::milliseconds(300));
  const Change change = fleet.event(fleet.phones[0]);
  const Holder holder(fleet.fresh, fleet.phones[0]);
  CHECK(reason_of(fleet.write(change)) == Reason::kOverloaded);
  std::atomic<int> asked{0};
  CHECK(reason_of(fleet.write(change, [&] { return ++asked > 0; })) == Reason::kCallerGone);
  CHECK(fleet.events() == "0 0");
}

TEST_CASE("of two writes that rest on one look the second finds that the first was there") {
  const Fleet fleet(1);
  const Change change = fleet.event(fleet.phones[0]);
  const auto written = written_at_once(fleet, {change, change, change});
  CHECK(std::ranges::count_if(written, [](const auto& each) { return each.has_value(); }) == 1);
  CHECK(fleet.events() == "1 1");
}

TEST_CASE("the rounds of two servers meet, and each change is written once") {
  const Fleet fleet(16);
  const auto second = fleet.fresh.open();
  constexpr int kEach = 10;
  std::atomic<int> failed{0};
  std::mutex mutex;
  std::string why;  ///< of the last that failed
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 32; ++t) {
    threads.emplace_back([&, t] {
      Rounds& rounds = t % 2 == 0 ? fleet.database->rounds() : second->rounds();
      for (int i = 0; i < kEach;) {
        const auto written = rounds.write(fleet.event(fleet.phones[t / 2]), Share::kWire, {});
        if (written) ++i;
        if (!written && written.error().reason != Reason::kChangedMeanwhile) {
          ++failed;
          const std::lock_guard lock(mutex);
          why = std::string(to_string(written.error().reason)) + ": " + written.error().cause;
        }
        if (failed > 0) return;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  INFO(why);
  CHECK(failed == 0);
  CHECK(fleet.events() == std::to_string(32 * kEach) + " 16");
}

TEST_CASE("connections that the database has cut are replaced, a write that rested on a look before says so") {
  const Fleet fleet(2);
  const Change before = fleet.event(fleet.phones[0]);
  fleet.fresh.sql(
      "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'capf_server' and "
      "datname = current_database()",
      "postgres");
  const auto first = fleet.write(before);
  if (!first) CHECK(first.error().reason == Reason::kChangedMeanwhile);
  CHECK(fleet.look(fleet.phones[0]).phone);
  CHECK(fleet.write(fleet.event(fleet.phones[0])));
}

TEST_CASE("what another server has said is not written, though its numbers are the same") {
  const Fleet fleet(2);
  std::vector<Change> changes = events_of_all(fleet);
  const TimePoint start = changes[1].basis.postmaster_start;
  changes[1].basis.postmaster_start = start - Duration{1};  // of the one that was there before a failover
  CHECK(fleet.write(changes[0]));
  CHECK(reason_of(fleet.write(changes[1])) == Reason::kChangedMeanwhile);
  CHECK(fleet.events() == "1 1");
  CHECK(fleet.event(fleet.phones[1]).basis.revision == changes[1].basis.revision);
  CHECK(fleet.write(fleet.event(fleet.phones[1])));
  CHECK(fleet.events() == "2 2");
}

TEST_CASE("rounds that are cut off before their commit write nobody, and each phone is decided about again") {
  const Fleet fleet(8);
  const std::vector<Change> changes = events_of_all(fleet);
  cut_writers(fleet, "create trigger cut after insert on audit_events");
  for (const auto& written : written_at_once(fleet, changes)) CHECK(reason_of(written) == Reason::kChangedMeanwhile);
  CHECK(fleet.fresh.sql("select last_value from tried", "postgres") == "8");  // no half was tried once more
  CHECK(fleet.events() == "0 0");
  fleet.fresh.sql("drop trigger cut on audit_events", "postgres");
  for (const auto& written : written_at_once(fleet, events_of_all(fleet))) CHECK(written);
  CHECK(fleet.events() == "8 8");
}

TEST_CASE("rounds that are cut off in their commit are in doubt for each phone, and are not repeated") {
  const Fleet fleet(8);
  const std::vector<Change> changes = events_of_all(fleet);
  cut_writers(fleet, "create constraint trigger cut after insert on audit_events deferrable initially deferred");
  for (const auto& written : written_at_once(fleet, changes)) CHECK(reason_of(written) == Reason::kCommitInDoubt);
  CHECK(fleet.fresh.sql("select last_value from tried", "postgres") == "8");
  CHECK(fleet.events() == "0 0");
  CHECK(fleet.look(fleet.phones[0]).phone);
}

TEST_CASE("refusals are recorded together, with the last attempt of each device") {
  const Fleet fleet(2);
  const TimePoint now = fleet.look(fleet.phones[0]).now;
  const auto refusal = [&](const Phone& phone, const std::string& message, int count) {
    RefusalRecord record{"192.0.2.1", phone.device.text(), phone.id, {}, {}, count};
    record.attempt = {now, "192.0.2.1", "grpc", OperationKind::kInstall, Reason::kDeviceBlocked, message};
    return record;
  };
  const std::vector<RefusalRecord> refusals{refusal(fleet.phones[0], "first", 3), refusal(fleet.phones[1], "other", 1),
                                            refusal(fleet.phones[0], "last", 2)};
  good(fleet.database->rounds().record(refusals));
  CHECK(fleet.fresh.sql("select sum(count) from refusals where reason = 'DEVICE_BLOCKED'") == "6");
  CHECK(fleet.look(fleet.phones[0]).phone->last_attempt->message == "last");
  CHECK(fleet.look(fleet.phones[1]).phone->last_attempt->message == "other");
}

}  // namespace
}  // namespace capf::test
