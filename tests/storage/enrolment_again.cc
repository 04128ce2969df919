#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/service/records.h"
#include "tests/support/expect.h"
#include "tests/support/site.h"

// A phone that comes again: its answer was lost, its key is the same, its LSC was revoked meanwhile.

using namespace capf;
using namespace capf::test;

TEST_CASE("a confirmation whose answer was lost is confirmed again over the old LSC, and alarms nobody") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const Bytes old_lsc = site.enrol(device, PhoneKey());
  const auto caller = Site::with_certificate(device, old_lsc);
  site.schedule(device, kInstall, AuthMode::kLsc);
  const auto issued = must(site.enrolment.issue(caller, PhoneKey().request()));
  must(site.enrolment.confirm(caller, sha256(issued.certificate)));
  must(site.enrolment.confirm(caller, sha256(issued.certificate)));
  CHECK_FALSE(must(site.phones.show(device)).phone.self_service_stopped_at);
  // The old one is good only for that.
  check_stranger(site, device, site.enrolment.confirm(caller, sha256(old_lsc)), Reason::kSupersededLscUsed);
}

TEST_CASE("a phone that keeps its key gets a new certificate when an upgrade is scheduled") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const PhoneKey key;
  const Bytes lsc = site.enrol(device, key);
  site.schedule(device, kInstall, AuthMode::kLsc);
  const auto issued = must(site.enrolment.issue(Site::with_certificate(device, lsc), key.request()));
  CHECK(issued.certificate != lsc);
  must(site.enrolment.confirm(Site::with_certificate(device, issued.certificate), sha256(issued.certificate)));
  CHECK(site.last_operation(device).state == OperationState::kSucceeded);
  CHECK(site.state_of(lsc) == CertificateState::kSuperseded);
  // The operation is over: the answer is the certificate that the phone has.
  CHECK(must(site.enrolment.issue(Site::with_certificate(device, issued.certificate), key.request())).certificate ==
        issued.certificate);
}

TEST_CASE("a key whose certificate was revoked in the same operation gets another one") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const auto caller = Site::with_string(device, site.schedule(device, kInstall, AuthMode::kString));
  const PhoneKey key;
  const auto first = must(site.enrolment.issue(caller, key.request()));
  must(site.certificates.revoke(site.administrator, "SEP1", RevocationReason::kUnspecified));
  const auto second = must(site.enrolment.issue(caller, key.request()));
  CHECK(first.certificate != second.certificate);
  CHECK(refused(site.enrolment.confirm(caller, sha256(first.certificate))) == Reason::kNothingToConfirm);
  must(site.enrolment.confirm(caller, sha256(second.certificate)));
}

TEST_CASE("a delete by string whose answer was lost is answered to the LSC that it revoked") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const Bytes lsc = site.enrol(device, PhoneKey());
  const auto caller = Site::with_string(device, site.schedule(device, OperationKind::kDelete, AuthMode::kString));
  CHECK(must(site.enrolment.give_up(caller)) == 1);
  CHECK(must(site.enrolment.give_up(Site::with_certificate(device, lsc))) == 0);
  check_stranger(site, device, site.enrolment.give_up(caller), Reason::kNoPendingOperation);
}

TEST_CASE("a phone that renews by itself with ever new keys is stopped") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const auto caller = Site::with_certificate(device, site.enrol(device, PhoneKey()));
  site.sql("update certificates set not_before = now() - interval '300 days', not_after = now() + interval '50 days'");
  for (int i = 0; i < 5; ++i) must(site.enrolment.issue(caller, PhoneKey().request()));
  CHECK(refused(site.enrolment.issue(caller, PhoneKey().request())) == Reason::kCertificateLimit);
  CHECK(refused(site.enrolment.issue(caller, PhoneKey().request())) == Reason::kSelfServiceRefused);
  CHECK_FALSE(must(site.enrolment.pending(caller)).operation);
}

TEST_CASE("what a phone could not store is revoked, and two renewals that fail in a row are the last") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const auto caller = Site::with_certificate(device, site.enrol(device, PhoneKey()));
  site.sql("update certificates set not_before = now() - interval '300 days', not_after = now() + interval '50 days'");
  const auto fail_to_renew = [&](rules::PhoneFailure failure) {
    const auto issued = must(site.enrolment.issue(caller, PhoneKey().request()));
    must(site.enrolment.report_failure(caller, failure));
    return site.state_of(issued.certificate);
  };
  CHECK(fail_to_renew(rules::PhoneFailure::kStore) == CertificateState::kRevoked);
  CHECK(must(site.enrolment.pending(caller)).operation);
  CHECK(fail_to_renew(rules::PhoneFailure::kStore) == CertificateState::kRevoked);
  CHECK_FALSE(must(site.enrolment.pending(caller)).operation);
  CHECK(refused(site.enrolment.issue(caller, PhoneKey().request())) == Reason::kSelfServiceRefused);
  CHECK(must(site.phones.show(device)).phone.self_service_stopped_at);
  CHECK(site.value("select count(*) from certificates where revoked_at is null") == "1");
  must(site.phones.unlock(site.administrator, device, false));
  CHECK(must(site.enrolment.pending(caller)).operation);
}

TEST_CASE("a key that is compromised takes everything with it that the phone holds") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const PhoneKey key;
  const Bytes confirmed = site.enrol(device, key);
  site.schedule(device, kInstall, AuthMode::kLsc);
  const PhoneKey next;
  const auto issued = must(site.enrolment.issue(Site::with_certificate(device, confirmed), next.request()));
  const std::string serial = serial_text(must(site.certificates.list({}, {})).front().serial);
  const auto revoked = must(site.certificates.revoke(site.administrator, serial, RevocationReason::kKeyCompromise));
  CHECK(revoked.certificates.size() == 2);
  CHECK(site.state_of(confirmed) == CertificateState::kRevoked);
  CHECK(site.state_of(issued.certificate) == CertificateState::kRevoked);
  must(site.phones.unblock(site.administrator, device));
  const auto caller = Site::with_string(device, site.schedule(device, kInstall, AuthMode::kString));
  CHECK(refused(site.enrolment.issue(caller, key.request())) == Reason::kKeyCompromised);
  CHECK(refused(site.enrolment.issue(caller, next.request())) == Reason::kKeyCompromised);
}

TEST_CASE("a key may turn out to be compromised after its certificate was revoked for another reason") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const PhoneKey key;
  site.enrol(device, key);
  const std::string serial = serial_text(must(site.certificates.list({}, {})).front().serial);
  must(site.certificates.revoke(site.administrator, serial, RevocationReason::kAffiliationChanged));
  CHECK(refused(site.certificates.revoke(site.administrator, serial, RevocationReason::kSuperseded)) ==
        Reason::kAlreadyRevoked);
  CHECK(must(site.certificates.revoke(site.administrator, serial, RevocationReason::kKeyCompromise)).device_blocked);
  CHECK(refused(site.certificates.revoke(site.administrator, serial, RevocationReason::kKeyCompromise)) ==
        Reason::kAlreadyRevoked);
}

TEST_CASE("a wrong string beside the phone's own LSC neither counts nor clears what was counted") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const Bytes lsc = site.enrol(device, PhoneKey());
  site.schedule(device, kInstall, AuthMode::kString);
  const auto counted = [&] { return site.value("select sum(count) from device_strings"); };
  for (int i = 0; i < 4; ++i) CHECK_FALSE(site.enrolment.pending(Site::with_string(device, "00000000")));
  CHECK(counted() == "4");
  auto both = Site::with_certificate(device, lsc);
  both.auth_string = Secret(std::string_view("11111111"));
  must(site.enrolment.pending(both));
  CHECK(counted() == "4");
}

TEST_CASE("an address uses up its budget on whatever name it tries") {
  Site site;
  const DeviceName waiting = site.add_phone("SEP1");
  const DeviceName own = site.add_phone("SEP2");
  site.schedule(waiting, kInstall, AuthMode::kString);
  const std::string digits = site.schedule(own, kInstall, AuthMode::kString);
  // The same refusal again adds no event.
  for (int i = 0; i < 51; ++i) {
    CHECK_FALSE(site.enrolment.pending(Site::with_string(waiting, std::to_string(10'000'000 + i))));
  }
  check_stranger(site, own, site.enrolment.pending(Site::with_string(own, digits)), Reason::kAddressLimited);
}

TEST_CASE("a phone that is refused, or begins, again and again does not fill the record") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  site.schedule(device, kInstall, AuthMode::kNull);
  const auto caller = Site::caller(device, "127.0.0.1");
  for (int i = 0; i < 40; ++i) {
    auto in_dialogue = caller;
    in_dialogue.begun = must(site.enrolment.begin(caller)).begun;
    site.enrolment.broke_off(in_dialogue, fail(Reason::kPhoneCommunication).value());
    CHECK(refused(site.enrolment.hand_over(caller, {})) == Reason::kOperationKind);
  }
  // Five events in each of the minutes that it took, and a count for each minute that is over.
  const std::string few =
      "select count(*) between 5 and 12 from audit_events where actor_kind = 'device' and action = ";
  CHECK(site.value(few + "'operation.begin'") == "t");
  CHECK(site.value(few + "'phone.request' and reason = 'OPERATION_KIND'") == "t");
  CHECK(site.value(few + "'phone.request' and reason = 'PHONE_COMMUNICATION'") == "t");
}

TEST_CASE("an administrator who is refused again and again does not fill the record") {
  Site site;
  service::Records records(site.database());
  for (int i = 0; i < 40; ++i) {
    records.refused(site.administrator, "phone.add", "SEP" + std::to_string(i), fail(Reason::kRoleDenied).value());
  }
  CHECK(site.value("select count(*) between 5 and 12 from audit_events where action = 'phone.add' and "
                   "outcome = 'refused'") == "t");
}
