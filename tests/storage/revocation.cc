#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/domain/block_store.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/key_store.h"
#include "capf/domain/phone_store.h"
#include "tests/support/expect.h"
#include "tests/support/site.h"

// Revocation by selection and by key, holds and their release, the grace of superseded LSCs, blocked certificates.

using namespace capf;
using namespace capf::test;
using std::chrono::hours;

namespace {

Bytes public_key(const PhoneKey& key) { return key.botan().subject_public_key(); }

Sha256 key_digest(const PhoneKey& key) { return sha256(public_key(key)); }

Certificate record(Site& site, const Bytes& lsc) {
  return must(in_read(site.database(), [&](Transaction& tx) -> Result<Certificate> {
    CAPF_LET(const auto found, tx.certificates().find_lsc(sha256(lsc)));
    if (!found) return fail(Reason::kUnknownCertificate);
    return *found;
  }));
}

CertificateSelection devices(const std::string& pattern) {
  CertificateSelection selection;
  selection.devices = must(Pattern::parse(pattern));
  return selection;
}

std::int64_t count(Site& site, const CertificateSelection& selection) {
  return must(site.certificates.select(selection, {})).count.certificates;
}

/// Revokes the whole selection, call by call. @return the sum of the answers.
Result<service::SelectionAnswer> revoke_all(Site& site, const CertificateSelection& selection, RevocationReason reason,
                                            std::int64_t most) {
  service::SelectionRequest request{selection, reason, most, {}};
  service::SelectionAnswer sum;
  do {
    CAPF_LET(const auto answer, site.certificates.revoke_selection(site.administrator, request));
    sum.revoked += answer.revoked;
    sum.others += answer.others;
    sum.devices_blocked += answer.devices_blocked;
    request.count -= answer.revoked;
    request.cursor = answer.next;
  } while (request.cursor);
  return sum;
}

service::AnchorRequest anchor_of(const Manufacturer& maker) {
  service::AnchorRequest anchor;
  anchor.files = {maker.root()};
  return anchor;
}

}  // namespace

TEST_CASE("what is on hold authenticates nobody, and released it does again") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const Bytes lsc = site.enrol(device, PhoneKey());
  const auto hold = [&] {
    return site.certificates.revoke(site.administrator, "SEP1", RevocationReason::kCertificateHold);
  };
  CHECK(refused(site.certificates.release(site.administrator, "SEP1")) == Reason::kNotOnHold);
  const auto held = must(hold()).certificates.front();
  CHECK(held.state(held.not_before) == CertificateState::kRevoked);
  CHECK(refused(hold()) == Reason::kAlreadyRevoked);
  site.schedule(device, kInstall, AuthMode::kLsc);
  check_stranger(site, device, site.enrolment.pending(Site::with_certificate(device, lsc)),
                 Reason::kCertificateRevoked);
  CHECK(site.value("select string_agg(reason::text, ' ') from revocations") == "6");

  must(site.certificates.release(site.administrator, serial_text(held.serial)));
  CHECK(site.value("select count(*) from revocations") == "0");
  CHECK(record(site, lsc).valid(SystemClock().now()));
  CHECK(site.enrolment.pending(Site::with_certificate(device, lsc)));
  CHECK(refused(site.certificates.release(site.administrator, serial_text(held.serial))) == Reason::kNotOnHold);
  CHECK(refused(site.certificates.release(site.administrator, "SEP2")) == Reason::kUnknownCertificate);
  CHECK(refused(site.certificates.release(site.administrator, "5f5f")) == Reason::kUnknownCertificate);
  CHECK(site.value("select count(*) from audit_events where action = 'certificate.release'") == "1");
}

TEST_CASE("a hold becomes a revocation for good, with its date, which nothing undoes") {
  Site site;
  site.enrol(site.add_phone("SEP1"), PhoneKey());
  const auto revoke = [&](RevocationReason reason) {
    return site.certificates.revoke(site.administrator, "SEP1", reason);
  };
  const auto held = must(revoke(RevocationReason::kCertificateHold)).certificates.front();
  const auto final = must(revoke(RevocationReason::kPrivilegeWithdrawn)).certificates.front();
  CHECK(final.revoked_at == held.revoked_at);
  CHECK(final.revocation_reason == RevocationReason::kPrivilegeWithdrawn);
  CHECK(site.value("select string_agg(reason::text, ' ') from revocations") == "9");
  const std::string serial = serial_text(final.serial);
  CHECK(refused(site.certificates.release(site.administrator, serial)) == Reason::kNotOnHold);
  for (const RevocationReason reason : {RevocationReason::kCertificateHold, RevocationReason::kSuperseded}) {
    CHECK(refused(site.certificates.revoke(site.administrator, serial, reason)) == Reason::kAlreadyRevoked);
  }
  // Not even the schema's owner can do it by mistake.
  CHECK_THROWS(site.sql("update certificates set revoked_at = null, revocation_reason = null"));
  CHECK_THROWS(site.sql("update certificates set revocation_reason = 6"));
}

TEST_CASE("a phone that is upgraded while its LSC is on hold does not get that one back") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const Bytes old_lsc = site.enrol(device, PhoneKey());
  must(site.certificates.revoke(site.administrator, "SEP1", RevocationReason::kCertificateHold));
  const Bytes new_lsc = site.enrol(device, PhoneKey());
  CHECK(record(site, old_lsc).revocation_reason == RevocationReason::kSuperseded);
  CHECK(site.state_of(new_lsc) == CertificateState::kConfirmed);
  CHECK(refused(site.certificates.release(site.administrator, "SEP1")) == Reason::kNotOnHold);
  CHECK(site.value("select string_agg(reason::text, ' ') from revocations") == "4");
}

TEST_CASE("a key whose certificate is on hold gets no other one from the same operation") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const auto caller = Site::with_string(device, site.schedule(device, kInstall, AuthMode::kString));
  const PhoneKey key;
  const auto first = must(site.enrolment.issue(caller, key.request()));
  must(site.certificates.revoke(site.administrator, "SEP1", RevocationReason::kCertificateHold));
  CHECK(refused(site.enrolment.issue(caller, key.request())) == Reason::kCertificateRevoked);
  CHECK(refused(site.enrolment.confirm(caller, sha256(first.certificate))) == Reason::kNothingToConfirm);
  must(site.certificates.release(site.administrator, "SEP1"));
  CHECK(must(site.enrolment.issue(caller, key.request())).certificate == first.certificate);
  must(site.enrolment.confirm(caller, sha256(first.certificate)));
}

TEST_CASE("a superseded LSC proves nothing from the confirmation on, and is revoked when its grace is over") {
  Site site;
  site.policy.superseded_grace = hours{24};
  const DeviceName device = site.add_phone("SEP1");
  const Bytes old_lsc = site.enrol(device, PhoneKey());
  const auto by_old = Site::with_certificate(device, old_lsc);
  site.schedule(device, kInstall, AuthMode::kLsc);
  const auto sibling = must(site.enrolment.issue(by_old, PhoneKey().request())).certificate;
  const auto next = must(site.enrolment.issue(by_old, PhoneKey().request())).certificate;
  must(site.enrolment.confirm(by_old, sha256(next)));
  CHECK(site.state_of(old_lsc) == CertificateState::kSuperseded);
  CHECK_FALSE(record(site, old_lsc).revoked_at);
  CHECK(record(site, sibling).revocation_reason == RevocationReason::kSuperseded);  // of one operation one survives
  CHECK(site.value("select count(*) from revocations") == "1");
  must(site.enrolment.confirm(by_old, sha256(next)));  // the answer was lost
  site.schedule(device, kInstall, AuthMode::kLsc);
  check_stranger(site, device, site.enrolment.pending(by_old), Reason::kSupersededLscUsed);
  CHECK(must(site.phones.show(device)).phone.self_service_stopped_at);

  const SystemClock clock;
  service::Maintenance maintenance(site.database(), site.policy, clock, "here");
  CHECK(must(maintenance.run())->revoked == 0);
  site.sql("update certificates set superseded_at = superseded_at - interval '25 hours' where revoked_at is null");
  CHECK(must(maintenance.run())->revoked == 1);
  CHECK(must(maintenance.run())->revoked == 0);
  CHECK(record(site, old_lsc).revocation_reason == RevocationReason::kSuperseded);
  CHECK(site.state_of(next) == CertificateState::kConfirmed);
  CHECK(site.value("select count(*) from revocations") == "2");
  CHECK(site.value("select string_agg(action, ' ' order by id) from audit_events where action in "
                   "('certificate.supersede', 'certificate.revoke') and actor_kind = 'system'") ==
        "certificate.revoke");
}

TEST_CASE("in its grace a superseded LSC can be revoked like any other") {
  Site site;
  site.policy.superseded_grace = hours{24};
  const DeviceName device = site.add_phone("SEP1");
  const Bytes old_lsc = site.enrol(device, PhoneKey());
  site.enrol(device, PhoneKey());
  must(site.phones.block(site.administrator, device));
  CHECK(record(site, old_lsc).revocation_reason == RevocationReason::kPrivilegeWithdrawn);
  CHECK(site.value("select count(*) from revocations") == "2");
  CHECK(must(service::Maintenance(site.database(), site.policy, SystemClock(), "here").run())->revoked == 0);
}

TEST_CASE("each property of a selection chooses, and all that are named must fit") {
  Site site;
  must(site.phones.add(site.administrator, {must(DeviceName::parse("SEP1"))}, "CP-8861"));
  const Bytes first = site.enrol(must(DeviceName::parse("SEP1")), PhoneKey());
  site.enrol(site.add_phone("SEP2"), PhoneKey());
  const DeviceName third = site.add_phone("ATA3");
  must(site.enrolment.issue(Site::with_string(third, site.schedule(third, kInstall, AuthMode::kString)),
                            PhoneKey().request()));
  const TimePoint now = SystemClock().now();
  CertificateSelection selection;
  CHECK(refused(site.certificates.select(selection, {})) == Reason::kInvalidSelection);
  CHECK(refused(revoke_all(site, selection, RevocationReason::kUnspecified, 10)) == Reason::kInvalidSelection);
  CHECK(count(site, devices("*")) == 3);
  CHECK(count(site, devices("SEP*")) == 2);
  CHECK(count(site, devices("sep*")) == 0);
  selection.models = must(Pattern::parse("CP-*"));
  CHECK(count(site, selection) == 1);
  selection.devices = must(Pattern::parse("SEP2"));
  CHECK(count(site, selection) == 0);
  selection = {};
  selection.issuer_id = 1;
  CHECK(count(site, selection) == 3);
  selection.issuer_id = 2;
  CHECK(refused(site.certificates.select(selection, {})) == Reason::kUnknownIssuer);
  selection = {};
  selection.issued_after = now - hours{1};
  CHECK(count(site, selection) == 3);
  selection.issued_before = now - hours{1};
  CHECK(count(site, selection) == 0);
  selection = {};
  selection.expires_before = now + hours{24 * 1826};
  CHECK(count(site, selection) == 3);
  selection.expires_before = now + hours{24};
  CHECK(count(site, selection) == 0);
  selection = {};
  selection.state = CertificateState::kIssued;
  CHECK(count(site, selection) == 1);
  selection = {};
  selection.serials = {SerialNumber(record(site, first).serial)};
  const auto page = must(site.certificates.select(selection, {}));
  CHECK(page.count.certificates == 1);
  CHECK(page.page.rows.front().sha256 == sha256(first));
  const Bytes never{0x5f, 0x01};
  selection.serials.emplace_back(never);
  CHECK(refused(site.certificates.select(selection, {})) == Reason::kUnknownCertificate);
  CHECK(refused(revoke_all(site, selection, RevocationReason::kUnspecified, 9)) == Reason::kUnknownCertificate);
  CHECK(site.value("select count(*) from revocations") == "0");
}

TEST_CASE("each property of a selection of phones chooses their certificates") {
  Site site;
  const DeviceName first = site.add_phone("SEP1");
  must(site.phones.add(site.administrator, {must(DeviceName::parse("SEP2"))}, "CP-8861"));
  const DeviceName second = must(DeviceName::parse("SEP2"));
  for (const DeviceName& device : {first, second}) site.enrol(device, PhoneKey());
  site.value(
      "with tag as (insert into phone_tags (phone_id, tag) select id, 'lobby' from phones where device = 'SEP1'), "
      "blocked as (update phones set blocked_at = now() where device = 'SEP2'), "
      "seen as (update phone_sightings set first_seen = seen, last_seen = seen from (select id, now() - case device "
      "when "
      "'SEP2' then interval '9 days' else interval '0' end as seen from phones) p where phone_id = p.id) select 1");
  const TimePoint now = SystemClock().now();
  struct Row {
    const char* what;
    PhoneSelection phones;
    std::int64_t count;
  };
  const std::vector<Row> rows{
      {"all", {.all = true}, 2},
      {"devices", {.devices = {second}}, 1},
      {"patterns", {.patterns = {must(Pattern::parse("SEP*"))}}, 2},
      {"excepts", {.all = true, .excepts = {first}}, 1},
      {"tags", {.tags = {"lobby"}}, 1},
      {"models", {.models = {must(Pattern::parse("CP-88*"))}}, 1},
      {"lscs", {.lscs = {LscStatus::kValid}}, 2},
      {"no such lsc", {.lscs = {LscStatus::kRevoked}}, 0},
      {"expires_before", {.expires_before = now + hours{24}}, 0},
      {"issuers", {.issuers = {1}}, 2},
      {"issuer_expires_before", {.issuer_expires_before = now + hours{24}}, 0},
      {"auths", {.auths = {AuthMode::kMic}}, 0},
      {"operations", {.operations = {OperationStatus::kSucceeded}}, 2},
      {"no operation", {.operations = {OperationStatus::kNone}}, 0},
      {"reasons", {.reasons = {Reason::kMicChanged}}, 0},
      {"tried", {.tried = true}, 0},
      {"not_seen_since", {.not_seen_since = now - hours{24 * 8}}, 1},
      {"blocked", {.blocked = true}, 1},
      {"locked", {.locked = true}, 0},
      {"two", {.tags = {"lobby"}, .blocked = true}, 0},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    CertificateSelection selection;
    selection.phones = row.phones;
    CHECK(count(site, selection) == row.count);
    CHECK(static_cast<std::int64_t>(must(site.certificates.select(selection, {})).page.rows.size()) == row.count);
  }
  CertificateSelection selection;
  selection.phones = PhoneSelection{.devices = {must(DeviceName::parse("SEP9"))}};
  CHECK(refused(site.certificates.select(selection, {})) == Reason::kUnknownDevice);
  selection.phones = PhoneSelection{.tags = {"lobby"}};
  CHECK(must(revoke_all(site, selection, RevocationReason::kSuperseded, 1)).revoked == 1);
  CHECK(
      site.value("select device from phones p join certificates c on c.phone_id = p.id where revoked_at is not null") ==
      "SEP1");
}

TEST_CASE("a selection that has grown since it was counted is refused, and one that shrank is not") {
  Site site;
  for (const char* name : {"SEP1", "SEP2", "SEP3"}) site.enrol(site.add_phone(name), PhoneKey());
  const auto all = devices("SEP*");
  CHECK(refused(revoke_all(site, all, RevocationReason::kUnspecified, 2)) == Reason::kSelectionChanged);
  CHECK(site.value("select count(*) from revocations") == "0");
  must(site.certificates.revoke(site.administrator, "SEP2", RevocationReason::kSuperseded));
  CHECK(must(revoke_all(site, all, RevocationReason::kCessationOfOperation, 3)).revoked == 2);
  CHECK(must(revoke_all(site, all, RevocationReason::kCessationOfOperation, 0)).revoked == 0);  // once more
  CHECK(site.value("select string_agg(reason::text, ' ' order by reason) from revocations") == "4 5 5");
  CHECK(site.value("select count(*) from audit_events where action = 'certificate.revoke'") == "3");
}

TEST_CASE("a selection may be put on hold, and what is on hold revoked for good") {
  Site site;
  for (const char* name : {"SEP1", "SEP2"}) site.enrol(site.add_phone(name), PhoneKey());
  must(site.certificates.revoke(site.administrator, "SEP1", RevocationReason::kCertificateHold));
  const auto all = devices("SEP*");
  CHECK(must(revoke_all(site, all, RevocationReason::kCertificateHold, 2)).revoked == 1);
  CHECK(must(revoke_all(site, all, RevocationReason::kCaCompromise, 2)).revoked == 2);
  CHECK(site.value("select string_agg(reason::text, ' ') from revocations") == "2 2");
  CHECK(site.value("select string_agg(revocation_reason::text, ' ') from certificates") == "2 2");
}

TEST_CASE("a compromised selection takes keys, phones, their operations and whatever else they hold") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const PhoneKey key;
  site.enrol(device, key);
  site.schedule(device, kInstall, AuthMode::kLsc);
  const auto lsc = site.value("select encode(der, 'hex') from certificates");
  must(site.enrolment.issue(Site::with_certificate(device, *parse_hex(lsc)), PhoneKey().request()));
  site.enrol(site.add_phone("ATA1"), PhoneKey());
  auto selection = devices("SEP*");
  selection.state = CertificateState::kConfirmed;
  const auto answer = must(revoke_all(site, selection, RevocationReason::kKeyCompromise, 1));
  CHECK(answer.revoked == 1);
  CHECK(answer.others == 1);
  CHECK(answer.devices_blocked == 1);
  CHECK(must(site.phones.show(device)).phone.blocked_at);
  CHECK(site.last_operation(device).state == OperationState::kCancelled);
  CHECK(site.value("select count(*) from public_keys where compromised") == "2");
  CHECK(site.value("select count(*) from operation_strings") == "0");
  CHECK(site.value("select string_agg(distinct subject, ' ') from audit_events where action in "
                   "('certificate.revoke', 'phone.block', 'operation.cancel')") == "SEP1");
  must(site.phones.unblock(site.administrator, device));
  const auto again = Site::with_string(device, site.schedule(device, kInstall, AuthMode::kString));
  CHECK(refused(site.enrolment.issue(again, key.request())) == Reason::kKeyCompromised);
}

TEST_CASE("administrators who revoke the same at once revoke it once") {
  Site site;
  for (int i = 0; i < 8; ++i) site.enrol(site.add_phone("SEP" + std::to_string(i)), PhoneKey());
  std::vector<int> revoked(4);
  std::vector<std::thread> threads;
  for (int& own : revoked) {
    threads.emplace_back([&] {
      const auto answer = revoke_all(site, devices("SEP*"), RevocationReason::kKeyCompromise, 8);
      own = answer ? answer->revoked : -1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  int sum = 0;
  for (const int own : revoked) {
    CHECK(own >= 0);
    sum += own;
  }
  CHECK(sum == 8);
  CHECK(site.value("select count(*) from revocations") == "8");
  CHECK(site.value("select count(*) from audit_events where action = 'certificate.revoke'") == "8");
  CHECK(site.value("select count(*) from audit_events where action = 'phone.block'") == "8");
}

TEST_CASE("whoever revokes sees what the phone's own transaction issues meanwhile") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  Certificate another = record(site, site.enrol(device, PhoneKey()));
  const Sha256 key = another.key_sha256;
  std::thread revoking;
  must(site.database().write([&](Transaction& tx) -> Status {
    CAPF_TRY(tx.phones().lock(device));
    SECTION("by selection") {
      revoking = std::thread([&] { must(revoke_all(site, devices("SEP*"), RevocationReason::kKeyCompromise, 1)); });
    }
    SECTION("by device") {
      revoking = std::thread(
          [&] { must(site.certificates.revoke(site.administrator, "SEP1", RevocationReason::kKeyCompromise)); });
    }
    SECTION("by key") {
      revoking = std::thread([&] { must(site.certificates.revoke_key(site.administrator, key)); });
    }
    await_waiting(site, 1);
    another.der.push_back(0);
    another.sha256 = sha256(another.der);
    another.serial.back() ^= 1;
    another.key_sha256 = sha256(another.serial);
    another.confirmed_at.reset();
    CAPF_TRY(tx.write(another.phone_id, std::vector<Write>{AddCertificate{another}}));
    return {};
  }));
  revoking.join();
  CHECK(site.value("select string_agg(revocation_reason::text, ' ') from certificates") == "1 1");
  CHECK(site.value("select count(*) from revocations") == "2");
}

TEST_CASE("a key that is revoked takes its certificates and its phone, and serves nobody for ever") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const PhoneKey key;
  const Bytes lsc = site.enrol(device, key);
  const auto answer = must(site.certificates.revoke_key(site.administrator, key_digest(key)));
  CHECK(answer.blocked_device == "SEP1");
  REQUIRE(answer.certificates.size() == 1);
  CHECK(record(site, lsc).revocation_reason == RevocationReason::kKeyCompromise);
  CHECK(must(site.certificates.revoke_key(site.administrator, key_digest(key))).certificates.empty());

  // A key that no phone has shown yet.
  const PhoneKey unseen;
  CHECK_FALSE(must(site.certificates.revoke_key(site.administrator, key_digest(unseen))).blocked_device);
  const DeviceName other = site.add_phone("SEP2");
  const auto caller = Site::with_string(other, site.schedule(other, kInstall, AuthMode::kString));
  CHECK(refused(site.enrolment.issue(caller, unseen.request())) == Reason::kKeyCompromised);

  // A MIC's key, known or not: it does not authenticate any more.
  const Manufacturer maker("Maker");
  must(site.trust.add(site.administrator, anchor_of(maker)));
  const PhoneKey mic_key;
  const auto by_mic = Site::with_certificate(site.add_phone("SEP3"), maker.mic(mic_key, "X-SEP3"));
  site.schedule(by_mic.device, kInstall, AuthMode::kMic);
  CHECK(site.enrolment.pending(by_mic));
  CHECK(must(site.certificates.revoke_key(site.administrator, key_digest(mic_key))).blocked_device == "SEP3");
  check_stranger(site, by_mic.device, site.enrolment.pending(by_mic), Reason::kDeviceBlocked);
  must(site.phones.unblock(site.administrator, by_mic.device));
  site.schedule(by_mic.device, kInstall, AuthMode::kMic);
  check_stranger(site, by_mic.device, site.enrolment.pending(by_mic), Reason::kCertificateBlocked);

  const auto issuer = must(ca::read_certificate(site.issuer_keys().find(1)->record().der));
  CHECK(refused(site.certificates.revoke_key(site.administrator, issuer.key)) == Reason::kKeyReserved);
  CHECK(site.value("select compromised from public_keys where owner = 'issuer'") == "f");
}

TEST_CASE("a key that is revoked while a phone offers it for the first time is revoked with what was issued for it") {
  Site site;
  const PhoneKey key;
  const DeviceName device = site.add_phone("SEP1");
  std::thread revoking;
  must(site.database().write([&](Transaction& tx) -> Status {
    CAPF_LET(const auto phone, tx.phones().lock(device));
    CAPF_LET(const auto claimed, tx.keys().claim(key_digest(key), KeyOwner::kPhone, phone->id));
    CHECK(claimed.owner == KeyOwner::kPhone);
    revoking = std::thread([&] { must(site.certificates.revoke_key(site.administrator, key_digest(key))); });
    await_waiting(site, 1);
    return {};
  }));
  revoking.join();
  CHECK(site.value("select owner || compromised from public_keys where owner <> 'issuer'") == "phonetrue");
  CHECK(must(site.phones.show(device)).phone.blocked_at);
}

TEST_CASE("a blocked MIC is refused, also in a dialogue that has begun, and so is its key") {
  Site site;
  const Manufacturer maker("Maker");
  must(site.trust.add(site.administrator, anchor_of(maker)));
  const DeviceName device = site.add_phone("SEP1");
  const PhoneKey mic_key;
  const Bytes mic = maker.mic(mic_key, "X-SEP1");
  site.schedule(device, kInstall, AuthMode::kMic);
  auto caller = Site::with_certificate(device, mic);
  caller.transport = rules::Transport::kWire;
  auto begun = caller;
  begun.begun = must(site.enrolment.begin(caller)).begun;
  const auto blocked = must(site.trust.block(site.administrator, {mic}));
  REQUIRE(blocked.size() == 1);
  CHECK(blocked.front().sha256 == sha256(mic));
  CHECK(must(site.trust.block(site.administrator, {mic})).front().id == blocked.front().id);  // no new row
  const auto issue = site.enrolment.issue(begun, public_key(PhoneKey()), Possession::kNone);
  REQUIRE_FALSE(issue);
  CHECK(issue.error().reason == Reason::kAuthenticationFailed);
  CHECK(issue.error().true_reason() == Reason::kCertificateBlocked);
  check_stranger(site, device, site.enrolment.begin(caller), Reason::kCertificateBlocked);
  check_stranger(site, device, site.enrolment.issue(Site::with_certificate(device, mic), PhoneKey().request()),
                 Reason::kCertificateBlocked);
  // Another certificate with the same key, and an LSC for it.
  must(site.phones.unlock(site.administrator, device, true));
  check_stranger(site, device, site.enrolment.pending(Site::with_certificate(device, maker.mic(mic_key, "X-SEP1"))),
                 Reason::kCertificateBlocked);
  must(site.operations.cancel(site.administrator, device));
  const auto by_string = Site::with_string(device, site.schedule(device, kInstall, AuthMode::kString));
  CHECK(refused(site.enrolment.issue(by_string, mic_key.request())) == Reason::kCertificateBlocked);
  // As the second proof beside another one.
  auto with_second = by_string;
  with_second.certificate = service::PresentedCertificate{maker.mic(PhoneKey(), "X-SEP1"), {}};
  with_second.certificate->second = mic;
  must(site.operations.cancel(site.administrator, device));
  site.schedule(device, kInstall, AuthMode::kMic);
  with_second.auth_string.reset();
  check_stranger(site, device, site.enrolment.pending(with_second), Reason::kCertificateBlocked);

  CHECK(must(site.trust.blocked({})).size() == 1);
  const std::string name = to_hex(sha256(mic)).substr(0, 8);
  must(site.trust.unblock(site.administrator, name));
  CHECK(refused(site.trust.unblock(site.administrator, name)) == Reason::kUnknownCertificate);
  CHECK(refused(site.trust.unblock(site.administrator, "12")) == Reason::kInvalidRequest);
  CHECK(site.enrolment.pending(Site::with_certificate(device, mic)));
}

TEST_CASE("a CA below an anchor that is blocked, or whose key is revoked, vouches for no phone any more") {
  Site site;
  const Manufacturer maker("Maker");
  const Manufacturer lost("Lost CA", maker);
  const Manufacturer other("Other CA", maker);
  must(site.trust.add(site.administrator, anchor_of(maker)));
  const auto caller_of = [&](const std::string& name, const Manufacturer& issuer) {
    auto caller = Site::with_certificate(site.add_phone(name), issuer.mic(PhoneKey(), "X-" + name));
    caller.certificate->chain = {issuer.root()};
    site.schedule(caller.device, kInstall, AuthMode::kMic);
    return caller;
  };
  const auto caller = caller_of("SEP1", lost);
  CHECK(site.enrolment.pending(caller));
  SECTION("its certificate") { must(site.trust.block(site.administrator, {lost.root()})); }
  SECTION("its key") { must(site.certificates.revoke_key(site.administrator, lost.key_sha256())); }
  check_stranger(site, caller.device, site.enrolment.pending(caller), Reason::kCertificateBlocked);
  const std::string message = site.last_attempt(caller.device)->message;
  CHECK_THAT(message, Catch::Contains("issuer O=Lost CA") && Catch::Contains(to_hex(sha256(caller.certificate->leaf))));
  // Beside another proof too.
  auto beside = caller_of("SEP2", other);
  CHECK(site.enrolment.pending(beside));
}

TEST_CASE("a MIC's key that is revoked takes the phone that has it, and what it got by it") {
  Site site;
  const Manufacturer maker("Maker");
  must(site.trust.add(site.administrator, anchor_of(maker)));
  const PhoneKey mic_key;
  const auto by_mic = Site::with_certificate(site.add_phone("SEP1"), maker.mic(mic_key, "X-SEP1"));
  site.schedule(by_mic.device, kInstall, AuthMode::kMic);
  const auto issued = must(site.enrolment.issue(by_mic, PhoneKey().request()));
  must(site.enrolment.confirm(by_mic, sha256(issued.certificate)));
  const auto answer = must(site.certificates.revoke_key(site.administrator, key_digest(mic_key)));
  CHECK(answer.blocked_device == "SEP1");
  REQUIRE(answer.certificates.size() == 1);
  CHECK(record(site, issued.certificate).revocation_reason == RevocationReason::kKeyCompromise);
  CHECK(must(site.phones.show(by_mic.device)).phone.blocked_at);
}

TEST_CASE("what signs for the site itself is no anchor") {
  Site site;
  const Bytes issuer = site.issuer_keys().find(1)->record().der;
  const Manufacturer own("Site CA");
  must(in_write(site.database(), [&](Transaction& tx) -> Status {
    CAPF_TRY(tx.keys().claim(own.key_sha256(), KeyOwner::kSite, 0));
    return {};
  }));
  for (const Bytes& file : {issuer, own.root()}) {
    auto request = anchor_of(Manufacturer("Maker"));
    request.files = {file};
    CHECK(refused(site.trust.add(site.administrator, request)) == Reason::kInvalidCertificate);
  }
  CHECK(must(site.trust.list()).empty());
}

TEST_CASE("only another issuer's certificate can be blocked") {
  Site site;
  const Bytes lsc = site.enrol(site.add_phone("SEP1"), PhoneKey());
  const Manufacturer maker("Maker");
  must(site.trust.add(site.administrator, anchor_of(maker)));
  const auto block = [&](const Bytes& file) { return refused(site.trust.block(site.administrator, {file})); };
  CHECK(block(lsc) == Reason::kInvalidCertificate);
  CHECK(block(maker.root()) == Reason::kKeyReserved);
  CHECK(block(Bytes{0x30, 0x00}) == Reason::kInvalidCertificate);
  CHECK(refused(site.trust.block(site.administrator, {})) == Reason::kInvalidRequest);
  // A certificate whose key is an LSC's too: that LSC would have to be revoked as well.
  const PhoneKey shared;
  site.enrol(site.add_phone("SEP2"), shared);
  const Bytes mic = maker.mic(shared, "X-SEP3");
  CHECK(block(mic) == Reason::kKeyOfAnotherDevice);
  must(site.certificates.revoke_key(site.administrator, key_digest(shared)));
  CHECK(site.trust.block(site.administrator, {mic}));
}

TEST_CASE("whoever blocks a MIC waits for those who hold the trust store") {
  Site site;
  const Manufacturer maker("Maker");
  must(site.trust.add(site.administrator, anchor_of(maker)));
  const Bytes mic = maker.mic(PhoneKey(), "X-SEP1");
  std::thread blocking;
  must(site.database().write([&](Transaction& tx) -> Status {
    CAPF_TRY(tx.blocks().lock());
    blocking = std::thread([&] { must(site.trust.block(site.administrator, {mic})); });
    await_waiting(site, 1);
    CAPF_LET(const auto found, tx.blocks().find(sha256(mic)));
    CHECK_FALSE(found);
    return {};
  }));
  blocking.join();
  CHECK(must(site.trust.blocked({})).size() == 1);
}
