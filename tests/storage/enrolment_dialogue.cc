#include <string>
#include <vector>

#include <botan/pk_keys.h>
#include <catch2/catch.hpp>

#include "tests/support/expect.h"
#include "tests/support/site.h"

using namespace capf;
using namespace capf::test;

namespace {

Bytes public_key(const PhoneKey& key) { return key.botan().subject_public_key(); }

void trust(Site& site, const Manufacturer& maker) {
  service::AnchorRequest anchor;
  anchor.files = {maker.root()};
  must(site.trust.add(site.administrator, anchor));
}

/// A caller as on the wire: proven, but perhaps not in this session.
service::Caller on_the_wire(const DeviceName& device, const Bytes& leaf, bool fresh) {
  service::Caller caller = Site::with_certificate(device, leaf);
  caller.transport = rules::Transport::kWire;
  caller.certificate->fresh = fresh;
  return caller;
}

/// Begins a dialogue. @return the caller of its later messages
service::Caller begun(Site& site, service::Caller caller) {
  caller.begun = must(site.enrolment.begin(caller)).begun;
  return caller;
}

}  // namespace

TEST_CASE("a dialogue that the server leads: begun, issued without proof of the key, stored") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const auto phone = begun(site, Site::with_string(device, site.schedule(device, kInstall, AuthMode::kString)));
  CHECK(site.last_operation(device).state == OperationState::kInProgress);
  const auto issued = must(site.enrolment.issue(phone, public_key(PhoneKey()), Possession::kNone));
  CHECK(site.last_operation(device).state == OperationState::kIssued);
  CHECK(must(site.certificates.show("SEP1")).certificate.possession == Possession::kNone);
  must(site.enrolment.confirm(phone, sha256(issued.certificate)));
  CHECK(site.last_operation(device).state == OperationState::kSucceeded);
  CHECK(site.state_of(issued.certificate) == CertificateState::kConfirmed);
}

TEST_CASE("of two sessions of one phone the later one wins, and the earlier one is told") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const auto caller = Site::with_string(device, site.schedule(device, kInstall, AuthMode::kString));
  const auto earlier = begun(site, caller);
  const auto later = begun(site, caller);
  const auto issue = [&](const service::Caller& phone) {
    return site.enrolment.issue(phone, public_key(PhoneKey()), Possession::kNone);
  };
  CHECK(refused(issue(earlier)) == Reason::kSessionReplaced);
  const auto issued = must(issue(later));
  must(site.enrolment.confirm(later, sha256(issued.certificate)));
  CHECK(refused(issue(later)) == Reason::kOperationEnded);
}

TEST_CASE("a proof that may have been recorded serves what is scheduled, where the site lets it") {
  Site site;
  const Manufacturer maker("Maker");
  trust(site, maker);
  const DeviceName device = site.add_phone("SEP1");
  const Bytes mic = maker.mic(PhoneKey(), "X-SEP1");
  site.schedule(device, kInstall, AuthMode::kMic);
  must(site.enrolment.begin(on_the_wire(device, mic, false)));
  CHECK(site.value("select count(*) from audit_events where action = 'operation.begin' and detail like '%not fresh'") ==
        "1");
  site.policy.require_fresh_proof = true;
  check_stranger(site, device, site.enrolment.begin(on_the_wire(device, mic, false)), Reason::kProofNotFresh);
  site.policy.require_fresh_proof = false;

  // Once it has proven its MIC fresh, it must do so always, until an administrator forgets it.
  must(site.enrolment.begin(on_the_wire(device, mic, true)));
  CHECK(must(site.phones.show(device)).phone.mic_fresh_at);
  check_stranger(site, device, site.enrolment.begin(on_the_wire(device, mic, false)), Reason::kProofDowngraded);
  must(site.phones.unlock(site.administrator, device, true));
  must(site.enrolment.begin(on_the_wire(device, mic, false)));
}

TEST_CASE("an LSC that was not proven in this session renews nothing by itself") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const Bytes lsc = site.enrol(device, PhoneKey());
  site.sql("update certificates set not_before = now() - interval '300 days', not_after = now() + interval '50 days'");
  auto caller = Site::with_certificate(device, lsc);
  caller.certificate->fresh = false;
  check_stranger(site, device, site.enrolment.issue(caller, PhoneKey().request()), Reason::kProofNotFresh);
}

TEST_CASE("both certificates of a proof are judged, and both must be the device's") {
  Site site;
  const Manufacturer maker("Maker");
  trust(site, maker);
  const DeviceName device = site.add_phone("SEP1");
  const Bytes lsc = site.enrol(device, PhoneKey());
  site.schedule(device, kInstall, AuthMode::kLsc);
  auto caller = on_the_wire(device, lsc, false);
  caller.certificate->second = maker.mic(PhoneKey(), "X-SEP2");
  check_stranger(site, device, site.enrolment.begin(caller), Reason::kCertificateNameMismatch);
  caller.certificate->second = Manufacturer("Other").mic(PhoneKey(), "X-SEP1");
  check_stranger(site, device, site.enrolment.begin(caller), Reason::kCertificateUnknownIssuer);
  const Bytes mic = maker.mic(PhoneKey(), "X-SEP1");
  caller.certificate->second = mic;
  must(site.enrolment.begin(caller));
  CHECK(must(site.phones.show(device)).phone.mic_sha256 == sha256(mic));
  caller.certificate->second = maker.mic(PhoneKey(), "X-SEP1");
  check_stranger(site, device, site.enrolment.begin(caller), Reason::kMicChanged);
}

TEST_CASE("what a phone could not do stands in the operation, and three failed keys end it") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  auto caller = Site::with_string(device, site.schedule(device, kInstall, AuthMode::kString));
  SECTION("its key, three times over three sessions") {
    for (int i = 1; i <= 3; ++i) {
      must(site.enrolment.report_failure(begun(site, caller), rules::PhoneFailure::kKeyGeneration, "reason 7"));
      CHECK(site.last_operation(device).state == (i < 3 ? OperationState::kInProgress : OperationState::kFailed));
    }
    CHECK(site.last_operation(device).reason == Reason::kKeyGenerationFailed);
  }
  SECTION("an EC key, on a version that has none") {
    must(site.enrolment.report_failure(begun(site, caller), rules::PhoneFailure::kNoEc));
    CHECK(site.last_operation(device).reason == Reason::kPhoneWithoutEc);
  }
  SECTION("to hand over its certificate") {
    must(site.enrolment.report_failure(begun(site, caller), rules::PhoneFailure::kFetch, "reason 3"));
    CHECK(site.last_operation(device).reason == Reason::kPhoneRefused);
    CHECK(site.last_operation(device).message == "the phone refused to hand over its certificate: reason 3");
  }
}
