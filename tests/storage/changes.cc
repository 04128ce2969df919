#include "storage/changes.h"

#include <set>
#include <thread>

#include "capf/domain/anchor_store.h"
#include "capf/domain/block_store.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/issuer_store.h"
#include "capf/domain/key_store.h"
#include "capf/domain/operation_store.h"
#include "capf/domain/phone_store.h"
#include "storage/audit.h"
#include "storage/certificates.h"
#include "storage/conninfo.h"
#include "storage/keys.h"
#include "storage/operations.h"
#include "storage/phones.h"
#include "tests/storage/samples.h"

// Changes are compared with what they rest on, and written whole or not at all, exactly as one statement for each write
// would.

namespace capf::test {
namespace {

using storage::Member;
using storage::Outcome;

/// Everything on record of a phone, without ids, names, digests and the values of times.
constexpr char kRecords[] = R"(
select jsonb_pretty(jsonb_build_object(
  'phone', (select jsonb_build_array(model, mic_sha256, mic_fresh_at is not null, self_service_stopped_at is not null)
    from phones where id = p),
  'operations', (select jsonb_agg(to_jsonb(o) - '{id,phone_id,created_at,completes_by,finished_at}'::text[] ||
      jsonb_build_object('finished', finished_at = (select max(finished_at) from operations where phone_id = p))
      order by id) from operations o where phone_id = p),
  'strings', (select jsonb_agg(largest order by operation_id) from operation_strings
    where operation_id in (select id from operations where phone_id = p)),
  'certificates', (select jsonb_agg(jsonb_build_array(kind, issuer_id, issuer, possession, shard, confirmed_at is not null,
      superseded_at is not null, revoked_at is not null, revocation_reason,
      (select count(*) from operations where id = c.operation_id)) order by id)
    from certificates c where phone_id = p),
  'revocations', (select jsonb_agg(jsonb_build_array(r.shard, r.reason, r.expires_at = c.not_after, r.revoked_at =
      c.revoked_at) order by c.id) from revocations r join certificates c using (issuer_id, serial) where phone_id = p),
  'keys', (select jsonb_agg(jsonb_build_array(owner, compromised, modulus_sha256 is not null) order by owner,
      modulus_sha256 is not null) from public_keys where phone_id = p),
  'counted', (select count(*) from device_strings where phone_id = p),
  'attempt', (select to_jsonb(t) - '{phone_id,at}'::text[] from phone_attempts t where phone_id = p),
  'events', (select jsonb_agg(to_jsonb(a) - '{id,xid,at,actor,subject,operation_id}'::text[] ||
      jsonb_build_object('operation', (select count(*) from operations where id = a.operation_id and phone_id = p))
      order by id) from audit_events a where subject = (select device from phones where id = p))))
from (select $p::bigint as p) as named)";

/// How many rows each table has.
constexpr char kCounts[] =
    "select string_agg(relname || ' ' || (xpath('//c/text()', query_to_xml('select count(*) as c from ' || relname, "
    "false, true, '')))[1]::text, ', ' order by relname) from pg_class "
    "where relkind = 'r' and relnamespace = 'public'::regnamespace";

struct Site {
  FreshDatabase fresh;
  std::unique_ptr<storage::PostgresDatabase> database = fresh.open();
  std::int64_t issuer = 0;

  Site() {
    in(*database, [&](Transaction& tx) { issuer = good(tx.issuers().add(sample_issuer())); });
  }

  Phone add_phone(const std::string& name = "SEP1") {
    return good(in_write(*database, [&](Transaction& tx) -> Result<Phone> { return added_phone(tx, device(name)); }));
  }
  Operation add_operation(const Phone& phone) {
    return good(in_write(*database, [&](Transaction& tx) -> Result<Operation> { return added_operation(tx, phone); }));
  }
  Operation add_begun(const Phone& phone) {
    const Operation operation = add_operation(phone);
    in(*database, [&](Transaction& tx) {
      written(tx, phone.id,
              {AdvanceOperation{operation.id, OperationState::kInProgress, CredentialKind::kString, {}, false}});
    });
    return good(in_read(*database, [&](Transaction& tx) { return tx.operations().find(operation.id); })).value();
  }
  Certificate lsc_of(const Operation& operation, const std::string& key) {
    return good(in_read(*database, [&](Transaction& tx) -> Result<Certificate> {
      return sample_lsc(tx, operation, issuer, key + operation.device.text());
    }));
  }
  std::int64_t add_lsc(const Operation& operation, const std::string& key) {
    const Certificate lsc = lsc_of(operation, key);
    return good(in_write(*database, [&](Transaction& tx) { return tx.certificates().add(lsc); }));
  }

  std::int64_t revision(std::int64_t phone) {
    return std::stoll(fresh.sql("select revision from phones where id = " + std::to_string(phone)));
  }
  TimePoint database_start() {
    return TimePoint{Duration{std::stoll(fresh.sql("select microseconds(pg_postmaster_start_time())"))}};
  }
  std::string records(std::int64_t phone) {
    std::string text = kRecords;
    return fresh.sql(text.replace(text.find("$p"), 2, std::to_string(phone)));
  }
  std::string counts() { return fresh.sql(kCounts); }

  /// The basis that a look would give now.
  Basis basis(const Phone& phone) {
    Basis basis;
    basis.phone_id = phone.id;
    basis.revision = revision(phone.id);
    basis.database_start = database_start();
    in(*database, [&](Transaction& tx) { basis.looked_at = tx.now(); });
    return basis;
  }

  /// Runs the body in a transaction over a connection of its own.
  template <class Body>
  void in_session(Body body) const {
    storage::Connection connection(good(storage::link_settings(fresh.conninfo(), {})));
    storage::Session session(connection);
    good(session.begin(storage::Access::kWrite));
    body(session);
    good(session.commit());
  }
  /// A round over a connection of its own, committed unless it fails.
  Result<std::vector<Member>> write(const std::vector<Change>& changes, bool alone = false) {
    storage::Connection connection(good(storage::link_settings(fresh.conninfo(), {})));
    storage::Session session(connection);
    CAPF_TRY(session.begin(storage::Access::kWrite));
    std::vector<const Change*> round;
    for (const Change& change : changes) round.push_back(&change);
    CAPF_LET(const auto members, storage::write(session, round, alone));
    CAPF_TRY(session.commit());
    return members;
  }
  Member write(const Change& change) { return good(write(std::vector<Change>{change}, true)).front(); }
};

AuditEvent event_of(const Phone& phone, const std::string& action, std::int64_t operation = 0) {
  AuditEvent event;
  event.actor = {ActorKind::kDevice, phone.device.text(), "192.0.2.1"};
  event.action = action;
  event.subject = phone.device.text();
  event.operation_id = operation;
  event.detail = "as \"told\" \\ by the phone";
  return event;
}

/// Makes a write by itself, in a statement of its own.
class ByHand {
 public:
  ByHand(storage::Session& session, std::int64_t phone_id)
      : session_(session), phones_(session), operations_(session), phone_id_(phone_id) {}

  void operator()(const AddOperation& write) {
    Operation operation = write.operation;
    if (operation.id == 0) operation.id = good(operations_.next_id());
    REQUIRE(good(operations_.add(operation, write.strings_limit)));
    added_ = operation.id;
  }
  void operator()(const AdvanceOperation& write) {
    change(
        "update operations set state = $2::text, authenticated_by = $3::text, "
        "authenticated_certificate = $4::bytea, expired_mic = $5::boolean, "
        "certificates = certificates + case when $2::text = 'issued' then 1 else 0 end, "
        "session = session + case when $2::text = 'in_progress' then 1 else 0 end "
        "where id = $1::bigint and finished_at is null",
        id(write.id), to_string(write.to), to_string(write.by), write.certificate, write.expired_mic);
  }
  void operator()(const CountFailure& write) {
    change("update operations set failures = failures + 1 where id = $1::bigint and finished_at is null", id(write.id));
  }
  void operator()(const EndOperation& write) {
    std::optional<std::string> reason;
    if (write.reason) reason = to_string(*write.reason);
    change(
        "update operations set state = $2::text, reason = $3::text, message = $4::text, finished_at = now(), "
        "string_mac = null where id = $1::bigint and finished_at is null",
        write.id, to_string(write.to), reason, write.message);
    run("delete from operation_strings where operation_id = $1::bigint", write.id);
  }
  void operator()(const AddCertificate& write) {
    Certificate certificate = write.certificate;
    certificate.operation_id = id(certificate.operation_id);
    good(storage::Certificates(session_).add(certificate));
  }
  void operator()(const ConfirmCertificate& write) {
    change("update certificates set confirmed_at = now() where id = $1::bigint and confirmed_at is null", write.id);
  }
  void operator()(const SupersedeCertificate& write) {
    change(
        "update certificates set superseded_at = now() where id = $1::bigint and superseded_at is null and "
        "revoked_at is null",
        write.id);
  }
  // RFC 5280 5.3.1: 4 is superseded, 6 is certificateHold.
  void operator()(const RevokeCertificate& write) {
    change(
        "update certificates set revoked_at = coalesce(revoked_at, now()), revocation_reason = $2::int, "
        "superseded_at = case when $2::int = 4 then coalesce(superseded_at, now()) else superseded_at end "
        "where id = $1::bigint and (revoked_at is null or (revocation_reason = 6 and $2::int <> 6))",
        write.id, static_cast<int>(write.reason));
    run("insert into revocations (issuer_id, serial, shard, revoked_at, reason, expires_at) "
        "select issuer_id, serial, shard, revoked_at, revocation_reason, not_after from certificates "
        "where id = $1::bigint on conflict (issuer_id, serial) do nothing",
        write.id);
  }
  void operator()(const ClaimKey& write) {
    const KeyRecord record = good(storage::Keys(session_).claim(write.key, write.owner, phone_id_));
    REQUIRE(record.owner == write.owner);
    REQUIRE(record.phone_id == phone_id_);
  }
  void operator()(const SetMic& write) { good(phones_.set_mic(phone_id_, write.sha256, write.fresh)); }
  void operator()(const SetModel& write) { good(phones_.set_model(phone_id_, write.model)); }
  void operator()(const StopSelfService&) { good(phones_.set_self_service_stopped(phone_id_, true)); }
  void operator()(const ForgiveStrings&) { run("delete from device_strings where phone_id = $1::bigint", phone_id_); }
  void operator()(const RecordAttempt& write) {
    Attempt attempt = write.attempt;
    attempt.at = session_.now();
    good(phones_.record_attempt(phone_id_, attempt));
  }
  void operator()(const AddEvent& write) {
    storage::Audit audit(session_);
    AuditEvent event = write.event;
    if (write.of_added) event.operation_id = added_;
    if (write.repeated) {
      good(audit.add_repeated(event));
    } else {
      good(audit.add(event));
    }
  }

 private:
  std::int64_t id(std::int64_t id) const { return id == kAddedOperation ? added_ : id; }
  template <class... Values>
  pqxx::result run(const std::string& sql, const Values&... values) {
    return good(session_.run_once(sql, storage::Parameters(values...)));
  }
  /// Runs a statement that must change one row.
  template <class... Values>
  void change(const std::string& sql, const Values&... values) {
    REQUIRE(run(sql, values...).affected_rows() == 1);
  }

  storage::Session& session_;
  storage::Phones phones_;
  storage::Operations operations_;
  const std::int64_t phone_id_;
  std::int64_t added_ = 0;
};

/// A phone in the middle of its life.
struct Enrolled {
  Phone phone{.device = device()};
  Operation operation{.device = device()};  ///< begun
  std::int64_t first = 0;                   ///< its LSC, confirmed
  std::int64_t second = 0;                  ///< on hold
  Certificate next;                         ///< to be added
};

Enrolled enrolled(Site& site, const std::string& name) {
  Enrolled made;
  made.phone = site.add_phone(name);
  made.operation = site.add_begun(made.phone);
  made.first = site.add_lsc(made.operation, "first");
  made.second = site.add_lsc(made.operation, "second");
  made.next = site.lsc_of(made.operation, "next");
  in(*site.database, [&](Transaction& tx) {
    written(tx, made.phone.id,
            {ConfirmCertificate{made.first}, RevokeCertificate{made.second, RevocationReason::kCertificateHold}});
    good(tx.keys().claim(digest("known" + name), KeyOwner::kPhone, made.phone.id));
  });
  good(site.database->rounds().hear({{"of " + name, 1}, made.phone.id, made.operation.id, false}));
  return made;
}

struct Sequence {
  const char* name;
  std::vector<Write> (*of)(const Enrolled& phone);
};

Write advance(const Enrolled& of, OperationState to) {
  return AdvanceOperation{of.operation.id, to, CredentialKind::kMic, digest("a MIC"), true};
}
Write end(const Enrolled& of, OperationState to, std::optional<Reason> reason = {}) {
  return EndOperation{of.operation.id, to, reason, "in words"};
}
Operation renewal(const Enrolled& of) {
  Operation operation{.device = of.phone.device};
  operation.phone_id = of.phone.id;
  operation.auth = AuthMode::kLsc;
  operation.self_service = true;
  operation.created_by = "the phone";
  operation.completes_by = of.operation.completes_by;
  return operation;
}
KeyDigests key(const Enrolled& of, const std::string& name) { return digest(name + of.phone.device.text()); }
KeyDigests rsa(const Enrolled& of, const std::string& name) {
  return {digest(name + of.phone.device.text()), digest("modulus " + name + of.phone.device.text())};
}
Certificate handed_over(const Enrolled& of) {
  Certificate certificate = of.next;
  certificate.kind = CertificateKind::kHandedOver;
  certificate.issuer_id = 0;
  certificate.possession = Possession::kNone;
  return certificate;
}
Certificate of_added(Certificate certificate) {
  certificate.operation_id = kAddedOperation;
  return certificate;
}
Write attempt(Reason reason) { return RecordAttempt{{{}, "192.0.2.7", "grpc", OperationKind::kInstall, reason, "no"}}; }

using P = const Enrolled&;
using Writes = std::vector<Write>;
constexpr OperationState kInProgress = OperationState::kInProgress;
constexpr OperationState kIssued = OperationState::kIssued;
const Sequence kSequences[]{
    {"nothing", [](P) { return Writes{}; }},
    {"begins again", [](P p) { return Writes{advance(p, kInProgress)}; }},
    {"issues", [](P p) { return Writes{advance(p, kIssued)}; }},
    {"begins and issues",
     [](P p) {
       return Writes{advance(p, kInProgress), advance(p, kIssued)};
     }},
    {"counts a failure", [](P p) { return Writes{CountFailure{p.operation.id}}; }},
    {"counts failures and fails",
     [](P p) {
       return Writes{CountFailure{p.operation.id}, CountFailure{p.operation.id},
                     end(p, OperationState::kFailed, Reason::kKeyGenerationFailed)};
     }},
    {"begins and succeeds",
     [](P p) {
       return Writes{advance(p, kInProgress), end(p, OperationState::kSucceeded)};
     }},
    {"is cancelled", [](P p) { return Writes{end(p, OperationState::kCancelled)}; }},
    {"adds a certificate", [](P p) { return Writes{AddCertificate{p.next}}; }},
    {"hands a certificate over twice",
     [](P p) {
       return Writes{AddCertificate{handed_over(p)}, AddCertificate{handed_over(p)}};
     }},
    {"supersedes", [](P p) { return Writes{SupersedeCertificate{p.first}}; }},
    {"supersedes and revokes",
     [](P p) {
       return Writes{SupersedeCertificate{p.first}, RevokeCertificate{p.first, RevocationReason::kSuperseded}};
     }},
    {"revokes",
     [](P p) {
       return Writes{RevokeCertificate{p.first, RevocationReason::kCessationOfOperation}};
     }},
    {"revokes for good what is on hold",
     [](P p) {
       return Writes{RevokeCertificate{p.second, RevocationReason::kSuperseded}};
     }},
    {"holds and revokes",
     [](P p) {
       return Writes{RevokeCertificate{p.first, RevocationReason::kCertificateHold},
                     RevokeCertificate{p.first, RevocationReason::kKeyCompromise}};
     }},
    {"confirms what is on hold", [](P p) { return Writes{ConfirmCertificate{p.second}}; }},
    {"claims a key",
     [](P p) {
       return Writes{ClaimKey{key(p, "new"), KeyOwner::kPhone}};
     }},
    {"claims an RSA key and a MIC's",
     [](P p) {
       return Writes{ClaimKey{rsa(p, "new"), KeyOwner::kPhone}, ClaimKey{rsa(p, "mic"), KeyOwner::kMic}};
     }},
    {"claims its own key again",
     [](P p) {
       return Writes{ClaimKey{key(p, "known"), KeyOwner::kPhone}};
     }},
    {"learns the modulus of its own key",
     [](P p) {
       return Writes{ClaimKey{rsa(p, "known"), KeyOwner::kPhone}};
     }},
    {"remembers a MIC",
     [](P) {
       return Writes{SetMic{digest("a MIC"), false}};
     }},
    {"remembers a fresh MIC, the model, and stops",
     [](P) {
       return Writes{SetMic{digest("a MIC"), true}, SetModel{std::string(70, 'm')}, StopSelfService{}};
     }},
    {"forgives", [](P) { return Writes{ForgiveStrings{}}; }},
    {"records the last of two attempts",
     [](P) {
       return Writes{attempt(Reason::kKeyReserved), attempt(Reason::kOperationKind)};
     }},
    {"adds events in their order",
     [](P p) {
       return Writes{AddEvent{event_of(p.phone, "operation.begin", p.operation.id)},
                     AddEvent{event_of(p.phone, "phone.request"), false, true},
                     AddEvent{event_of(p.phone, "certificate.issue", p.operation.id)}};
     }},
    {"counts the sixth of repeated events",
     [](P p) {
       return Writes(6, AddEvent{event_of(p.phone, "phone.request"), false, true});
     }},
    {"ends one operation and begins another that issues",
     [](P p) {
       return Writes{end(p, OperationState::kExpired, Reason::kDeadlinePassed),
                     AddEvent{event_of(p.phone, "operation.expired", p.operation.id)},
                     AddOperation{renewal(p), 0},
                     AddEvent{event_of(p.phone, "operation.begin"), true},
                     AdvanceOperation{kAddedOperation, kInProgress, CredentialKind::kOwnLsc, digest("an LSC"), false},
                     ClaimKey{rsa(p, "new"), KeyOwner::kPhone},
                     AddCertificate{of_added(p.next)},
                     AdvanceOperation{kAddedOperation, kIssued, CredentialKind::kOwnLsc, digest("an LSC"), false},
                     AddEvent{event_of(p.phone, "certificate.issue"), true}};
     }},
    {"adds an operation with a string",
     [](P p) {
       Operation operation = renewal(p);
       operation.auth = AuthMode::kString;
       operation.string_mac = Bytes(32, 0x11);
       operation.string_digits = 6;
       return Writes{end(p, OperationState::kCancelled), AddOperation{operation, 42}};
     }},
};

TEST_CASE("a change leaves what a statement for each write would have left") {
  Site site;
  int number = 0;
  for (const Sequence& sequence : kSequences) {
    INFO(sequence.name);
    const std::string name = std::to_string(++number);
    const Enrolled one = enrolled(site, "SEPA" + name);
    const Enrolled other = enrolled(site, "SEPB" + name);
    const Enrolled third = enrolled(site, "SEPC" + name);
    REQUIRE(site.records(one.phone.id) == site.records(other.phone.id));
    site.in_session([&](storage::Session& session) {
      ByHand by_hand(session, one.phone.id);
      for (const Write& write : sequence.of(one)) std::visit(by_hand, write);
    });
    const Change change{site.basis(other.phone), sequence.of(other)};
    const Member member = site.write(change);
    CHECK(member.outcome == Outcome::kWritten);
    CHECK(site.records(other.phone.id) == site.records(one.phone.id));
    CHECK(site.revision(other.phone.id) - change.basis.revision <= 1);
    in(*site.database, [&](Transaction& tx) {
      const std::int64_t ids[]{third.phone.id};
      good(tx.phones().lock_all(ids));
      good(tx.write(third.phone.id, sequence.of(third)));
    });
    CHECK(site.records(third.phone.id) == site.records(one.phone.id));
  }
}

TEST_CASE("a write says what it has given") {
  Site site;
  const Enrolled p = enrolled(site, "SEP1");
  const Member begun = site.write(Change{site.basis(p.phone), {advance(p, kInProgress)}});
  CHECK(begun.written.session == 2);
  CHECK(begun.written.added_operation == 0);
  const Member renewed = site.write(
      Change{site.basis(p.phone),
             {end(p, OperationState::kExpired), AddOperation{renewal(p), 0},
              AdvanceOperation{kAddedOperation, kInProgress, CredentialKind::kOwnLsc, std::nullopt, false}}});
  CHECK(renewed.written.session == 1);
  CHECK(renewed.written.added_operation > p.operation.id);
  CHECK(renewed.written.at > begun.written.at);
}

/// A change that rests on everything.
struct Guarded {
  Phone phone{.device = device()};
  Operation operation{.device = device()};
  std::int64_t first = 0;
  std::int64_t held = 0;
  TrustAnchor anchor;
  KeyDigests key;
  Change change;
};

Guarded guarded(Site& site) {
  Guarded made;
  made.phone = site.add_phone();
  made.operation = site.add_begun(made.phone);
  made.first = site.add_lsc(made.operation, "first");
  made.held = site.add_lsc(made.operation, "held");
  made.anchor.sha256 = digest("anchor");
  made.anchor.der = Bytes{1};
  made.anchor.subject = "CN=Maker";
  made.anchor.added_by = "alice";
  made.key = {digest("key"), digest("modulus")};
  Basis& basis = made.change.basis;
  in(*site.database, [&](Transaction& tx) {
    REQUIRE(good(tx.anchors().add(made.anchor)));
    written(tx, made.phone.id, {RevokeCertificate{made.held, RevocationReason::kCertificateHold}});
    basis.trust_revision = good(tx.anchors().revision());
  });
  const Basis looked = site.basis(made.phone);
  basis.phone_id = looked.phone_id;
  basis.revision = looked.revision;
  basis.database_start = looked.database_start;
  basis.looked_at = looked.looked_at;
  basis.holds_until = made.operation.completes_by;
  basis.certificates = {digest("a MIC"), digest("its CA")};
  basis.keys = {digest("the MIC's key"), digest("its CA's key")};
  basis.active_issuer = site.issuer;
  basis.session = made.operation.session;
  made.change.writes = {AdvanceOperation{made.operation.id, kIssued, CredentialKind::kMic, digest("a MIC"), false},
                        ClaimKey{made.key, KeyOwner::kPhone},
                        AddCertificate{site.lsc_of(made.operation, "next")},
                        SetMic{digest("a MIC"), true},
                        SupersedeCertificate{made.first},
                        ForgiveStrings{},
                        attempt(Reason::kKeyReserved),
                        AddEvent{event_of(made.phone, "certificate.issue", made.operation.id)}};
  return made;
}

BlockedCertificate blocked(const Sha256& certificate, const KeyDigests& key) {
  BlockedCertificate block;
  block.sha256 = certificate;
  block.key = key;
  block.serial = Bytes{1};
  block.not_after = TimePoint::max();
  block.blocked_by = "alice";
  return block;
}

/// Something that happens between the look and the write, to a part of the basis or to the keys that are claimed.
struct Interference {
  const void* part;
  const char* name;
  std::function<void(Transaction&)> happens;
};

std::vector<Interference> interferences(Guarded& on) {
  // Each part by its name: a part that is new has to have a line of its own here.
  auto& [phone_id, revision, database_start, looked_at, holds_until, trust_revision, certificates, keys, active_issuer,
         session] = on.change.basis;
  const std::int64_t phone = phone_id;
  const std::int64_t operation = on.operation.id;
  const void* claims = &on.key;
  const auto revoke = [=](Transaction& tx, std::int64_t id, RevocationReason reason) {
    written(tx, phone, {RevokeCertificate{id, reason}});
  };
  const auto cancel = [=](Transaction& tx) {
    written(tx, phone, {EndOperation{operation, OperationState::kCancelled, {}, ""}});
  };
  return {
      {&phone_id, "removed", [=](auto& tx) { good(tx.phones().remove(phone)); }},
      {&phone_id, "removed and added again",
       [=, name = on.phone.device](auto& tx) {
         good(tx.phones().remove(phone));
         added_phone(tx, name);
       }},
      {&revision, "blocked", [=](auto& tx) { good(tx.phones().set_blocked(phone, true)); }},
      {&revision, "blocked and unblocked",
       [=](auto& tx) {
         good(tx.phones().set_blocked(phone, true));
         good(tx.phones().set_blocked(phone, false));
       }},
      {&revision, "cancelled", cancel},
      {&revision, "cancelled and scheduled",
       [=, of = on.phone](auto& tx) {
         cancel(tx);
         added_operation(tx, of);
       }},
      {&revision, "revoked", [=, id = on.first](auto& tx) { revoke(tx, id, RevocationReason::kCessationOfOperation); }},
      {&revision, "put on hold", [=, id = on.first](auto& tx) { revoke(tx, id, RevocationReason::kCertificateHold); }},
      {&revision, "released", [=, id = on.held](auto& tx) { REQUIRE(good(tx.certificates().release(id))); }},
      {&revision, "confirmed", [=, id = on.first](auto& tx) { written(tx, phone, {ConfirmCertificate{id}}); }},
      {&database_start, "another server has taken over", [&](auto&) { database_start -= Duration{1}; }},
      {&looked_at, "the clock is set back", [&](auto&) { looked_at += std::chrono::minutes(1); }},
      {&looked_at, "too late", [&](auto&) { looked_at -= kLongestDecision; }},
      {&holds_until, "the deadline has passed", [&](auto&) { holds_until = looked_at; }},
      {&trust_revision, "an anchor is removed",
       [sha256 = on.anchor.sha256](auto& tx) { REQUIRE(good(tx.anchors().remove(sha256))); }},
      {&certificates, "a certificate is blocked",
       [=](auto& tx) { good(tx.blocks().add(blocked(digest("its CA"), digest("another")))); }},
      {&keys, "a key is blocked",
       [=](auto& tx) { good(tx.blocks().add(blocked(digest("another"), digest("its CA's key")))); }},
      {&keys, "a modulus is blocked",
       [=](auto& tx) {
         good(tx.blocks().add(blocked(digest("another"), {digest("another"), digest("the MIC's key")})));
       }},
      {&keys, "a key is compromised",
       [=](auto& tx) {
         const Sha256 key[]{digest("the MIC's key")};
         good(tx.keys().mark_compromised(key));
       }},
      {&active_issuer, "another issuer is active",
       [](auto& tx) { good(tx.issuers().add(sample_issuer("CN=CAPF 2"))); }},
      {&session, "another session",
       [=](auto& tx) {
         written(tx, phone, {AdvanceOperation{operation, kInProgress, CredentialKind::kString, {}, false}});
       }},
      {claims, "the key is another phone's",
       [=, key = on.key](auto& tx) {
         good(tx.keys().claim(key, KeyOwner::kPhone, added_phone(tx, device("SEP2")).id));
       }},
      {claims, "the modulus is a site's own",
       [=, modulus = *on.key.modulus](auto& tx) { good(tx.keys().claim(modulus, KeyOwner::kSite, 0)); }},
      {claims, "the phone's key is compromised",
       [=, key = on.key](auto& tx) {
         good(tx.keys().claim(key, KeyOwner::kPhone, phone));
         good(tx.keys().mark_compromised(key.all()));
       }},
      {claims, "the phone's key is that of a blocked certificate",
       [=, key = on.key](auto& tx) {
         good(tx.keys().claim(key, KeyOwner::kPhone, phone));
         good(tx.blocks().add(blocked(digest("another"), key)));
       }},
  };
}

TEST_CASE("nothing is written where something has changed since the look") {
  std::size_t parts = 0;
  std::size_t count = 1;
  for (std::size_t i = 0; i < count; ++i) {
    Site site;
    Guarded on = guarded(site);
    const auto all = interferences(on);
    count = all.size();
    std::set<const void*> named;
    for (const Interference& each : all) named.insert(each.part);
    parts = named.size();
    const Interference& one = all[i];
    INFO(one.name);
    in(*site.database, [&](Transaction& tx) { one.happens(tx); });
    // Each part is compared by itself, also where the revision would tell.
    if (one.part != &on.change.basis.revision) on.change.basis.revision = site.revision(on.phone.id);
    const std::string counts = site.counts();
    const std::string records = site.records(on.phone.id);
    const std::int64_t revision = site.revision(on.phone.id);
    CHECK(site.write(on.change).outcome == Outcome::kDiffers);
    CHECK(site.counts() == counts);
    CHECK(site.records(on.phone.id) == records);
    CHECK(site.revision(on.phone.id) == revision);
  }
  CHECK(parts == 11);  // ten of a basis, and the claims
}

TEST_CASE("where nothing has changed since the look, all of it is written") {
  Site site;
  const Guarded on = guarded(site);
  CHECK(site.write(on.change).outcome == Outcome::kWritten);
  CHECK(site.revision(on.phone.id) == on.change.basis.revision + 1);
  CHECK(site.write(on.change).outcome == Outcome::kDiffers);  // it was written
}

TEST_CASE("of 64 changes in one round the one that differs is left out") {
  Site site;
  std::vector<Change> changes;
  for (int i = 0; i < 64; ++i) {
    const Phone phone = site.add_phone("SEP" + std::to_string(i));
    const Operation operation = site.add_begun(phone);
    changes.push_back(
        {site.basis(phone),
         {AdvanceOperation{operation.id, kIssued, CredentialKind::kString, std::nullopt, false},
          ClaimKey{digest(phone.device.text()), KeyOwner::kPhone}, AddCertificate{site.lsc_of(operation, "key")},
          AddEvent{event_of(phone, "certificate.issue", operation.id)}}});
  }
  in(*site.database, [&](Transaction& tx) { good(tx.phones().set_blocked(changes[17].basis.phone_id, true)); });
  const auto members = good(site.write(changes));
  for (std::size_t i = 0; i < members.size(); ++i) {
    CHECK(members[i].outcome == (i == 17 ? Outcome::kDiffers : Outcome::kWritten));
  }
  CHECK(site.fresh.sql("select count(*) from operations where state = 'issued' and certificates = 1") == "63");
  CHECK(site.fresh.sql("select count(*) from certificates") == "63");
  CHECK(site.fresh.sql("select count(*) from public_keys") == "63");
  CHECK(site.fresh.sql("select count(*) from audit_events") == "63");
  CHECK(site.fresh.sql("select count(*) from phones where revision = 3") == "64");
}

TEST_CASE("of two changes in one round that claim one key the first one gets it") {
  Site site;
  const Phone one = site.add_phone("SEP1");
  const Phone two = site.add_phone("SEP2");
  const KeyDigests key{digest("key"), digest("modulus")};
  const auto members = good(site.write({{site.basis(one), {ClaimKey{key, KeyOwner::kPhone}}},
                                        {site.basis(two), {ClaimKey{*key.modulus, KeyOwner::kPhone}}}}));
  CHECK(members[0].outcome == Outcome::kWritten);
  CHECK(members[1].outcome == Outcome::kDiffers);
  CHECK(site.fresh.sql("select count(*) from public_keys where phone_id = " + std::to_string(one.id)) == "2");
  CHECK(site.fresh.sql("select count(*) from public_keys") == "2");
}

/// Returns when so many sessions wait for a lock.
void await_waiting(const Site& site, int sessions) {
  for (int looks = 0; looks < 10'000; ++looks) {
    const std::string waiting = site.fresh.sql(
        "select count(*) from pg_locks join pg_stat_activity using (pid) where not granted and "
        "datname = current_database()");
    if (std::stoi(waiting) >= sessions) return;
  }
  FAIL("nobody waits");
}

TEST_CASE("a key that somebody takes between the comparison and the write undoes the round") {
  Site site;
  const Phone one = site.add_phone("SEP1");
  const Phone two = site.add_phone("SEP2");
  const std::vector<Change> round{{site.basis(one), {SetModel{"CP-1"}}},
                                  {site.basis(two), {ClaimKey{digest("key"), KeyOwner::kPhone}}}};
  std::optional<Result<std::vector<Member>>> written;
  std::thread writing;
  in(*site.database, [&](Transaction& tx) {
    good(tx.keys().claim(digest("key"), KeyOwner::kSite, 0));
    writing = std::thread([&] { written = site.write(round); });
    await_waiting(site, 1);
  });
  writing.join();
  REQUIRE_FALSE(*written);
  CHECK(written->error().reason == Reason::kChangedMeanwhile);
  CHECK(site.fresh.sql("select count(*) from phones where model = 'CP-1'") == "0");
}

TEST_CASE("nobody in a round waits for a lock, and a change alone does") {
  Site site;
  const Guarded on = guarded(site);
  const Phone other = site.add_phone("SEP2");
  const std::vector<Change> round{on.change, {site.basis(other), {SetModel{"CP-1"}}}};
  const auto by_phone = [&](Transaction& tx) {
    const std::int64_t ids[]{on.phone.id};
    good(tx.phones().lock_all(ids));
  };
  const auto by_anchors = [](Transaction& tx) { good(tx.blocks().lock()); };
  const auto by_issuers = [](Transaction& tx) { good(tx.issuers().lock()); };
  std::vector<std::function<void(Transaction&)>> locks{by_phone, by_anchors, by_issuers};
  for (const auto& lock : locks) {
    std::vector<Change> again{round.front(), {site.basis(other), {SetModel{"CP-1"}}}};
    in(*site.database, [&](Transaction& tx) {
      lock(tx);
      const auto members = good(site.write(again));
      CHECK(members[0].outcome == Outcome::kLocked);
      CHECK(members[1].outcome == Outcome::kWritten);
    });
    CHECK(site.revision(on.phone.id) == on.change.basis.revision);
  }
  std::thread writing;
  in(*site.database, [&](Transaction& tx) {
    by_phone(tx);
    by_anchors(tx);
    writing = std::thread([&] { CHECK(site.write(on.change).outcome == Outcome::kWritten); });
    await_waiting(site, 1);
  });
  writing.join();
}

TEST_CASE("nothing is blocked and no anchor goes while a change that rests on them is being written") {
  Site site;
  const Guarded on = guarded(site);
  const Phone other = site.add_phone("SEP2");
  Change beside{site.basis(other), {SetModel{"CP-1"}}};
  beside.basis.trust_revision = on.change.basis.trust_revision;
  const auto another = site.fresh.open({.limits = {.lock = std::chrono::milliseconds(50)}});
  const auto block = [](Transaction& tx) { return tx.blocks().lock(); };
  const auto remove = [&](Transaction& tx) -> Status {
    CAPF_TRY(tx.anchors().remove(on.anchor.sha256));
    return {};
  };
  site.in_session([&](storage::Session& session) {
    const Change* const round[]{&on.change};
    REQUIRE(good(storage::write(session, round, true)).front().outcome == Outcome::kWritten);
    for (const std::function<Status(Transaction&)>& waits : {std::function(block), std::function(remove)}) {
      const Status waited = another->write(waits);
      REQUIRE_FALSE(waited);
      CHECK(waited.error().reason == Reason::kOverloaded);
    }
    CHECK(site.write(beside).outcome == Outcome::kWritten);  // who only relies on them waits for nobody
  });
  good(another->write(block));
  good(another->write(remove));
}

TEST_CASE("a change of no phone differs") {
  Site site;
  Phone nobody{.id = 4711, .device = device()};
  Change change;
  change.basis.phone_id = nobody.id;
  CHECK(site.write(change).outcome == Outcome::kDiffers);
}

TEST_CASE("a write that finds a row otherwise than it expects fails whole") {
  Site site;
  const Enrolled p = enrolled(site, "SEP1");
  const std::string before = site.counts();
  for (const Write& write : {Write(ConfirmCertificate{p.first}), Write(SupersedeCertificate{p.second}),
                             Write(AddOperation{renewal(p), 0}), Write(CountFailure{4711})}) {
    const Status status = site.database->write([&](Transaction& tx) -> Status {
      const std::vector<Write> writes{write, SetModel{"CP-1"}, AddEvent{event_of(p.phone, "phone.request")}};
      CAPF_TRY(tx.write(p.phone.id, writes));
      return {};
    });
    REQUIRE_FALSE(status);
    CHECK(status.error().reason == Reason::kChangedMeanwhile);
  }
  CHECK(site.counts() == before);
}

TEST_CASE("writes of many phones are one statement, and each phone's row is counted once") {
  Site site;
  std::vector<std::vector<Write>> writes;
  std::vector<PhoneWrites> phones;
  for (int i = 0; i < 300; ++i) {
    const Phone phone = site.add_phone("SEP" + std::to_string(i));
    const Operation operation = site.add_operation(phone);
    writes.push_back({EndOperation{operation.id, OperationState::kCancelled, std::nullopt, "by an administrator"},
                      AddEvent{event_of(phone, "operation.cancel", operation.id)}, StopSelfService{}});
    phones.push_back({phone.id, {}});
  }
  for (std::size_t i = 0; i < phones.size(); ++i) phones[i].writes = writes[i];
  in(*site.database, [&](Transaction& tx) { CHECK(good(tx.write(phones)).size() == phones.size()); });
  CHECK(site.fresh.sql("select count(*) from operations where state = 'cancelled'") == "300");
  CHECK(site.fresh.sql("select count(*) from operation_strings") == "0");
  CHECK(site.fresh.sql("select count(*) from phones where revision = 2 and self_service_stopped_at is not null") ==
        "300");
}

}  // namespace
}  // namespace capf::test
