#include <algorithm>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/domain/anchor_store.h"
#include "tests/support/data.h"
#include "tests/support/expect.h"
#include "tests/support/site.h"

using namespace capf;
using namespace capf::test;

TEST_CASE("the first MIC that authenticates a device is remembered, and another one is refused") {
  Site site;
  const Manufacturer maker("Maker");
  service::AnchorRequest anchor;
  anchor.files = {maker.root()};
  must(site.trust.add(site.administrator, anchor));
  const DeviceName device = site.add_phone("SEP001122334455");
  site.schedule(device, kInstall, AuthMode::kMic);
  const PhoneKey mic_key;
  const Bytes mic = maker.mic(mic_key, "CP-8861-SEP001122334455");

  // Another phone's, and names that are almost right.
  for (const char* name : {"CP-8861-SEP001122334456", "CP-8861-xSEP001122334455", "CP-8861-SEP0011223344556",
                           "CP-8861-sep001122334455", "SEP001122334455-x"}) {
    CAPTURE(name);
    check_stranger(
        site, device,
        site.enrolment.issue(Site::with_certificate(device, maker.mic(PhoneKey(), name)), PhoneKey().request()),
        Reason::kCertificateNameMismatch);
  }
  // An unknown maker, and a MIC that is not valid now.
  check_stranger(site, device,
                 site.enrolment.issue(
                     Site::with_certificate(device, Manufacturer("Other").mic(PhoneKey(), "CP-8861-SEP001122334455")),
                     PhoneKey().request()),
                 Reason::kCertificateUnknownIssuer);
  check_stranger(
      site, device,
      site.enrolment.issue(Site::with_certificate(device, maker.mic(PhoneKey(), "CP-8861-SEP001122334455", -10, -1)),
                           PhoneKey().request()),
      Reason::kCertificateExpired);
  check_stranger(
      site, device,
      site.enrolment.issue(Site::with_certificate(device, maker.mic(PhoneKey(), "CP-8861-SEP001122334455", 5, 10)),
                           PhoneKey().request()),
      Reason::kCertificateNotYetValid);
  CHECK(site.value("select mic_sha256 is null from phones") == "t");

  // The MIC's own key is no LSC's.
  site.sql("delete from public_keys where owner = 'mic'");
  const auto issued = must(site.enrolment.issue(Site::with_certificate(device, mic), PhoneKey().request()));
  CHECK(must(site.phones.show(device)).phone.mic_sha256 == sha256(mic));
  CHECK(must(site.phones.show(device)).phone.model == "CP-8861");
  CHECK(refused(site.enrolment.issue(Site::with_certificate(device, mic), mic_key.request())) == Reason::kKeyReserved);

  const Bytes second = maker.mic(PhoneKey(), "CP-8861-SEP001122334455");
  check_stranger(site, device, site.enrolment.issue(Site::with_certificate(device, second), PhoneKey().request()),
                 Reason::kMicChanged);
  must(site.phones.unlock(site.administrator, device, true));
  CHECK(site.enrolment.issue(Site::with_certificate(device, second), PhoneKey().request()));
}

TEST_CASE("issuers that nobody trusts are listed with who has shown them") {
  Site site;
  const Manufacturer maker("Maker");
  const Manufacturer below("Below", maker);
  const auto candidates = [&] {
    site.record();
    return must(site.trust.candidates());
  };
  const auto show = [&](const std::string& name, const Manufacturer& issuer, const std::string& address,
                        std::vector<Bytes> chain = {}) {
    service::Caller caller = Site::caller(must(DeviceName::parse(name)), address);
    caller.certificate = service::PresentedCertificate{issuer.mic(PhoneKey(), "X-" + name), std::move(chain)};
    CHECK_FALSE(site.enrolment.pending(caller));
    return sha256(caller.certificate->leaf);
  };
  show("SEP9", maker, "192.0.2.1");  // nobody knows it
  CHECK(candidates().empty());
  for (const std::string name : {"SEP1", "SEP2", "SEP3"}) {
    site.schedule(site.add_phone(name), kInstall, AuthMode::kMic);
  }
  show("SEP1", maker, "192.0.2.1");
  show("SEP2", maker, "2001:db8::7");
  const Sha256 last = show("SEP1", maker, "192.0.2.2");
  show("SEP3", below, "192.0.2.3");
  show("SEP3", below, "192.0.2.3", {below.root()});
  auto found = candidates();
  REQUIRE(found.size() == 2);
  CHECK(found[0].issuer.name == "O=Maker,C=XX,CN=Maker");
  CHECK(found[0].issuer.key_identifier == maker.key_identifier());
  CHECK(found[0].issuer.subject == "O=Phones,C=XX,CN=X-SEP3");
  CHECK(found[0].count == 4);
  CHECK(found[0].devices == std::vector<std::string>{"SEP3", "SEP1", "SEP2"});
  CHECK(found[0].addresses == std::vector<std::string>{"192.0.2.3", "192.0.2.2", "2001:db8::7", "192.0.2.1"});
  CHECK(found[1].issuer.name == "O=Below,C=XX,CN=Below");
  CHECK(found[1].count == 1);
  CHECK(found[0].first_at <= found[0].last_at);
  CHECK(last != found[0].issuer.sha256);

  // A trusted one that is refused for something else is none of them.
  service::AnchorRequest anchor;
  anchor.files = {maker.root(), below.root()};
  must(site.trust.add(site.administrator, anchor));
  check_stranger(
      site, must(DeviceName::parse("SEP1")),
      site.enrolment.pending(Site::with_certificate(must(DeviceName::parse("SEP1")), maker.mic(PhoneKey(), "X-SEP2"))),
      Reason::kCertificateNameMismatch);
  CHECK(candidates().size() == 2);

  // A day later they are gone, in the list at once and from the disk by the maintenance.
  site.sql("update trust_candidates set last_at = last_at - interval '25 hours' where issuer like '%Below%'");
  CHECK(candidates().size() == 1);
  must(service::Maintenance(site.database(), site.policy, SystemClock(), "here").run());
  CHECK(site.value("select count(*) from trust_candidates") == "1");
}

TEST_CASE("a stranger who makes up issuers loses their own, and others keep theirs") {
  Site site;
  const auto note = [&](const std::string& name, const std::string& device, const std::string& address) {
    const Attempt attempt{{}, address, "grpc", kInstall, Reason::kCertificateUnknownIssuer, ""};
    const UnknownIssuer issuer{name, {1, 2, 3}, std::string(2000, 's'), Sha256{}};
    const RefusalRecord refusal{address, device, {}, attempt, issuer, 1};
    must(site.database().rounds().record({&refusal, 1}));
  };
  note("CN=New Maker", "SEP1", "192.0.2.1");
  note("CN=Second Maker", "SEP1", "192.0.2.1");
  for (int i = 0; i < 3 * kMostCandidates; ++i) {
    note(std::string(1000, 'x') + std::to_string(i), "SEP1", "198.51.100.1");  // cut: one and the same
    note("CN=" + std::to_string(i), "SEP1", "198.51.100.1");
  }
  for (int i = 0; i < 20; ++i) {
    note("CN=New Maker", "SEP" + std::to_string(100 + i), "192.0.2." + std::to_string(100 + i));
  }
  const auto found = must(site.trust.candidates());
  CHECK(found.size() == kMostCandidates);
  const auto of = [&](const std::string& name) {
    return std::count_if(found.begin(), found.end(), [&](const auto& each) { return each.issuer.name == name; });
  };
  CHECK(of("CN=New Maker") == 1);
  CHECK(of("CN=Second Maker") == 1);
  CHECK(of("CN=599") == 1);
  CHECK(of("CN=1") == 0);
  for (const TrustCandidate& each : found) {
    CHECK(each.issuer.name.size() <= 256);
    CHECK(each.issuer.subject.size() == 256);
    if (each.issuer.name != "CN=New Maker") continue;
    CHECK(each.count == 21);
    CHECK(each.devices.size() == kMostInCandidate);
    CHECK(each.devices.front() == "SEP119");
    CHECK(each.addresses.size() == kMostInCandidate);
  }
}

TEST_CASE("an anchor that goes takes its MICs with it, also between two calls") {
  Site site;
  const Manufacturer maker("Maker");
  service::AnchorRequest anchor;
  anchor.files = {maker.root()};
  const auto added = must(site.trust.add(site.administrator, anchor));
  const DeviceName device = site.add_phone("SEP1");
  site.schedule(device, kInstall, AuthMode::kMic);
  const auto caller = Site::with_certificate(device, maker.mic(PhoneKey(), "X-SEP1"));
  CHECK(site.enrolment.pending(caller));
  must(site.trust.remove(site.administrator, to_hex(added.front().sha256)));
  check_stranger(site, device, site.enrolment.pending(caller), Reason::kCertificateUnknownIssuer);
}

TEST_CASE("an operation that nothing can make succeed is warned of when it is scheduled") {
  Site site;
  const Manufacturer maker("Maker");
  const DeviceName bare = site.add_phone("SEP1");
  const DeviceName served = site.add_phone("SEP2");
  site.enrol(served, PhoneKey());
  const auto warnings = [&](OperationKind kind, AuthMode auth) {
    service::ScheduleRequest request;
    request.devices = {bare, served};
    request.kind = kind;
    request.auth = auth;
    const auto answer = must(site.operations.schedule(site.administrator, request));
    for (const auto& device : request.devices) must(site.operations.cancel(site.administrator, device));
    return answer.warnings;
  };
  const auto names = [](const std::vector<std::string>& list, const char* device) {
    return std::count_if(list.begin(), list.end(),
                         [&](const std::string& words) { return words.find(device) != std::string::npos; });
  };
  CHECK(warnings(kInstall, AuthMode::kString).empty());
  const auto by_lsc = warnings(kInstall, AuthMode::kLsc);
  CHECK(names(by_lsc, "SEP1") == 1);
  CHECK(names(by_lsc, "SEP2") == 0);
  const auto by_mic = warnings(kInstall, AuthMode::kMic);
  CHECK(names(by_mic, "SEP1, SEP2") == 1);
  const auto deletes = warnings(OperationKind::kDelete, AuthMode::kLsc);
  CHECK(names(deletes, "SEP1") == 2);
  CHECK(names(deletes, "SEP2") == 0);

  service::AnchorRequest anchor;
  anchor.files = {maker.root()};
  anchor.devices = must(Pattern::parse("SEP2*"));
  const auto added = must(site.trust.add(site.administrator, anchor));
  CHECK(names(warnings(kInstall, AuthMode::kMic), "SEP1") == 1);
  CHECK(names(warnings(kInstall, AuthMode::kMic), "SEP2") == 0);
  must(site.trust.remove(site.administrator, to_hex(added.front().sha256)));
  anchor.devices = Pattern::any();
  must(site.trust.add(site.administrator, anchor));
  CHECK(warnings(kInstall, AuthMode::kMic).empty());
  CHECK(warnings(kInstall, AuthMode::kLsc).empty());
  CHECK(warnings(OperationKind::kDelete, AuthMode::kMic).size() == 1);
}

TEST_CASE("an expired MIC counts only where its anchor says so, for a first LSC, and is on record") {
  Site site;
  const Manufacturer maker("Maker");
  service::AnchorRequest anchor;
  anchor.files = {maker.root()};
  anchor.allow_expired_until = SystemClock().now() + std::chrono::hours{24};
  must(site.trust.add(site.administrator, anchor));
  const DeviceName device = site.add_phone("SEP1");
  site.schedule(device, kInstall, AuthMode::kMic);
  const auto caller = Site::with_certificate(device, maker.mic(PhoneKey(), "X-SEP1", -10, -1));
  const auto issued = must(site.enrolment.issue(caller, PhoneKey().request()));
  CHECK(site.last_operation(device).expired_mic);
  must(site.enrolment.confirm(caller, sha256(issued.certificate)));
  site.schedule(device, kInstall, AuthMode::kMic);
  check_stranger(site, device, site.enrolment.issue(caller, PhoneKey().request()), Reason::kCertificateExpired);
}

TEST_CASE("a MIC is not taken while a valid LSC is on record, where the LSC has precedence") {
  Site site;
  const Manufacturer maker("Maker");
  service::AnchorRequest anchor;
  anchor.files = {maker.root()};
  must(site.trust.add(site.administrator, anchor));
  const DeviceName device = site.add_phone("SEP1");
  const PhoneKey key;
  const Bytes lsc = site.enrol(device, key);
  site.schedule(device, kInstall, AuthMode::kLsc);
  const auto by_mic = Site::with_certificate(device, maker.mic(PhoneKey(), "X-SEP1"));
  check_stranger(site, device, site.enrolment.issue(by_mic, PhoneKey().request()), Reason::kMicNotTaken);
  must(site.certificates.revoke(site.administrator, "SEP1", RevocationReason::kUnspecified));
  check_stranger(site, device, site.enrolment.issue(Site::with_certificate(device, lsc), PhoneKey().request()),
                 Reason::kCertificateRevoked);
  CHECK(site.enrolment.issue(by_mic, PhoneKey().request()));
}

TEST_CASE("another site's LSC serves one install, until an LSC of ours is confirmed") {
  Site site;
  const Manufacturer other_site("CAPF-OTHER");
  service::AnchorRequest anchor;
  anchor.store = TrustStoreName::kLsc;
  anchor.files = {other_site.root()};
  CHECK(refused(site.trust.add(site.administrator, anchor)) == Reason::kInvalidRequest);
  anchor.devices = must(Pattern::parse("SEP*"));
  anchor.ends_at = SystemClock().now() + std::chrono::hours{24};
  must(site.trust.add(site.administrator, anchor));
  const DeviceName device = site.add_phone("SEP1");
  const DeviceName elsewhere = site.add_phone("ATA1");
  const auto caller = Site::with_certificate(device, other_site.mic(PhoneKey(), "SEP1"));

  check_stranger(site, device, site.enrolment.pending(caller), Reason::kCredentialMode);
  site.schedule(elsewhere, kInstall, AuthMode::kLsc);
  check_stranger(
      site, elsewhere,
      site.enrolment.issue(Site::with_certificate(elsewhere, other_site.mic(PhoneKey(), "ATA1")), PhoneKey().request()),
      Reason::kCertificateOutsideAnchor);
  site.schedule(device, OperationKind::kDelete, AuthMode::kLsc);
  check_stranger(site, device, site.enrolment.give_up(caller), Reason::kCredentialMode);
  must(site.operations.cancel(site.administrator, device));
  site.schedule(device, kInstall, AuthMode::kLsc);
  const auto issued = must(site.enrolment.issue(caller, PhoneKey().request()));
  must(site.enrolment.confirm(Site::with_certificate(device, issued.certificate), sha256(issued.certificate)));
  site.schedule(device, kInstall, AuthMode::kLsc);
  check_stranger(site, device, site.enrolment.issue(caller, PhoneKey().request()), Reason::kCredentialMode);
}

TEST_CASE("a MIC without an end enrols its phone, and its dates stand in the record as they are") {
  Site site;
  service::AnchorRequest anchor;
  anchor.files = {read_data("dates/root_9999.pem"), read_data("dates/sub_9999.pem"), read_data("dates/root.pem")};
  CHECK(must(site.trust.add(site.administrator, anchor)).size() == 3);
  int endless = 0;
  for (const TrustAnchor& listed : must(site.trust.list())) {
    if (to_rfc3339(listed.not_after) == "9999-12-31T23:59:59Z") ++endless;
  }
  CHECK(endless == 2);

  const DeviceName device = site.add_phone("SEP001122334455");
  site.schedule(device, kInstall, AuthMode::kMic);
  const std::string file = GENERATE(as<std::string>{}, "dates/mic_9999_below_9999.pem", "dates/mic_9999.pem");
  const Bytes mic = read_der(file);
  CHECK(site.enrolment.issue(Site::with_certificate(device, mic), PhoneKey().request()));
  CHECK(must(site.phones.show(device)).phone.mic_sha256 == sha256(mic));

  const auto blocked = must(site.trust.block(site.administrator, {mic}));
  CHECK(to_rfc3339(blocked.front().not_after) == "9999-12-31T23:59:59Z");
  check_stranger(site, device, site.enrolment.issue(Site::with_certificate(device, mic), PhoneKey().request()),
                 Reason::kCertificateBlocked);
}

TEST_CASE("a string beside a certificate that anybody can make counts as a stranger's, for every name") {
  Site site;
  const Bytes made_up = Manufacturer("Nobody").mic(PhoneKey(), "CP-8861-SEP000000000001");
  const DeviceName pending = site.add_phone("SEP000000000001");
  site.schedule(pending, kInstall, AuthMode::kMic);
  const auto come = [&](const DeviceName& device, int digits) {
    service::Caller caller = Site::with_certificate(device, made_up);
    caller.auth_string = Secret(std::to_string(digits));
    return refused(site.enrolment.issue(caller, PhoneKey().request()));
  };
  CHECK(come(pending, 10'000) == Reason::kAuthenticationFailed);
  for (int i = 1; i < 70; ++i) {
    const DeviceName unknown = must(DeviceName::parse("SEP00000000A" + std::to_string(100 + i)));
    CHECK(come(unknown, 10'000 + i) == Reason::kAuthenticationFailed);
  }
  CHECK(site.value("select sum(count) from address_strings") == "50");
  CHECK(site.value("select coalesce(sum(count), 0) from device_strings") == "0");
}

TEST_CASE("a MIC whose dates cannot be handled is on record as that") {
  Site site;
  const DeviceName device = site.add_phone("SEP001122334455");
  site.schedule(device, kInstall, AuthMode::kMic);
  const Bytes mic = read_der("cisco/eccroot.pem");
  check_stranger(site, device, site.enrolment.issue(Site::with_certificate(device, mic), PhoneKey().request()),
                 Reason::kCertificateDates);
  const auto attempt = must(site.phones.show(device)).phone.last_attempt;
  REQUIRE(attempt);
  CHECK(attempt->reason == Reason::kCertificateDates);
  CHECK_THAT(attempt->message, Catch::Contains("dates"));
}
