#include <variant>

#include "storage/audit.h"
#include "storage/keys.h"
#include "storage/operations.h"
#include "tests/storage/change_site.h"

// The writes of a change leave what a statement for each of them would have left, or nothing.

namespace capf::test {
namespace {

/// Makes a write by itself, in a statement of its own.
class ByHand {
 public:
  ByHand(storage::Session& session, std::int64_t phone_id)
      : session_(session), operations_(session), phone_id_(phone_id) {}

  void operator()(const AddOperation& write) {
    const Operation& of = write.operation;
    added_ = of.id != 0 ? of.id : good(operations_.next_ids(1)).front();
    const std::optional<Bytes> mac = of.string_mac.empty() ? std::nullopt : std::optional(of.string_mac);
    change(
        "insert into operations (id, phone_id, kind, auth, key_order, rsa_bits, ec_bits, self_service, created_by, "
        "completes_by, string_mac, string_digits, message) values ($1::bigint, $2::bigint, $3::text, $4::text, "
        "$5::text, $6::int, $7::int, $8::boolean, $9::text, $10::timestamptz, $11::bytea, $12::int, $13::text)",
        added_, of.phone_id, to_string(of.kind), to_string(of.auth), to_string(of.key.order), of.key.rsa_bits,
        of.key.ec_bits, of.self_service, of.created_by, of.completes_by, mac, of.string_digits, of.message);
    if (of.auth != AuthMode::kString) return;
    run("insert into operation_strings (operation_id, largest) values ($1::bigint, $2::int)", added_,
        write.strings_limit);
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
    run("insert into certificates (kind, sha256, serial, issuer_id, issuer, phone_id, operation_id, key_sha256, der, "
        "not_before, not_after, possession, shard) values ($1::text, $2::bytea, $3::bytea, $4::bigint, $5::text, "
        "$6::bigint, $7::bigint, $8::bytea, $9::bytea, $10::timestamptz, $11::timestamptz, $12::text, $13::int) "
        "on conflict (phone_id, sha256) where kind = 'handed_over' do nothing",
        to_string(certificate.kind), certificate.sha256, certificate.serial,
        storage::unless_zero(certificate.issuer_id), certificate.issuer, phone_id_, certificate.operation_id,
        certificate.key_sha256, certificate.der, certificate.not_before, certificate.not_after,
        to_string(certificate.possession), certificate.shard);
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
  void operator()(const SetMic& write) {
    change(
        "update phones set mic_sha256 = $2::bytea, "
        "mic_fresh_at = case when $3::boolean then coalesce(mic_fresh_at, now()) end where id = $1::bigint",
        phone_id_, write.sha256, write.fresh);
    if (write.der.empty()) return;
    change(
        "insert into phone_mics values ($1::bigint, $2::bytea, $3::bytea, $4::timestamptz, $5::timestamptz) "
        "on conflict (phone_id) do update set sha256 = excluded.sha256, der = excluded.der, "
        "not_before = excluded.not_before, not_after = excluded.not_after",
        phone_id_, write.sha256, write.der, write.not_before, write.not_after);
  }
  void operator()(const SetModel& write) {
    change("update phones set model = left($2::text, 64) where id = $1::bigint", phone_id_, write.model);
  }
  void operator()(const StopSelfService&) {
    change("update phones set self_service_stopped_at = coalesce(self_service_stopped_at, now()) where id = $1::bigint",
           phone_id_);
  }
  void operator()(const ForgiveStrings&) { run("delete from device_strings where phone_id = $1::bigint", phone_id_); }
  void operator()(const RecordAttempt& write) {
    run("insert into phone_attempts (phone_id, at, address, transport, kind, reason, message) values "
        "($1::bigint, now(), $2::text, $3::text, $4::text, $5::text, $6::text) on conflict (phone_id) do update set "
        "at = now(), address = $2::text, transport = $3::text, kind = $4::text, reason = $5::text, message = $6::text",
        phone_id_, write.attempt.address, write.attempt.transport, to_string(write.attempt.kind),
        to_string(write.attempt.reason), write.attempt.message);
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

Enrolled enrolled(ChangeSite& site, const std::string& name) {
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

using P = const Enrolled&;
using Writes = std::vector<Write>;
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
    {"keeps a MIC whole",
     [](P) {
       return Writes{SetMic{digest("a MIC"), false, Bytes{1, 2}, TimePoint{}, TimePoint{} + std::chrono::hours{9}}};
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
  ChangeSite site;
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
  ChangeSite site;
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

TEST_CASE("a write that finds a row otherwise than it expects fails whole") {
  ChangeSite site;
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
  ChangeSite site;
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
