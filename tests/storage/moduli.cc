#include <catch2/catch.hpp>

#include "capf/ca/spki.h"
#include "capf/domain/block_store.h"
#include "capf/domain/key_store.h"
#include "capf/service/maintenance.h"
#include "tests/support/expect.h"
#include "tests/support/site.h"

// An RSA modulus is one key, whatever its exponent: wherever keys are compared, and for keys that were on record before
// moduli were.

using namespace capf;
using namespace capf::test;

namespace {

constexpr std::uint64_t kOtherExponent = 65539;

struct RsaSite : Site {
  service::Caller scheduled(const DeviceName& device) {
    service::ScheduleRequest request;
    request.devices = {device};
    request.kind = kInstall;
    request.auth = AuthMode::kString;
    request.key = {KeyOrder::kRsa, 2048, 256};
    const auto answer = must(operations.schedule(administrator, request));
    return with_string(device, std::string(answer.operations.front().auth_string.text()));
  }
  Bytes enrol_rsa(const DeviceName& device, const RsaPhoneKey& key) {
    const auto caller = scheduled(device);
    const auto issued = must(enrolment.issue(caller, key.request()));
    must(enrolment.confirm(caller, sha256(issued.certificate)));
    return issued.certificate;
  }
  /// The answer to another device that offers the key.
  Reason refused_to(const std::string& device, const RsaPhoneKey& key) {
    return refused(enrolment.issue(scheduled(add_phone(device)), key.request()));
  }
  service::AnchorRequest anchor_of(const Manufacturer& maker) {
    service::AnchorRequest anchor;
    anchor.files = {maker.root()};
    return anchor;
  }
  /// As the database was before it knew of moduli.
  void forget_moduli() {
    sql("delete from public_keys where sha256 in (select modulus_sha256 from public_keys); "
        "update public_keys set modulus_sha256 = null; update progress set certificate_id = 0");
  }
  void learn(const std::string& holder) {
    const SystemClock clock;
    service::Maintenance maintenance(database(), policy, clock, holder);
    REQUIRE(must(maintenance.run()));
    maintenance.leave();
  }
};

KeyDigests digests(const RsaPhoneKey& key) { return ca::key_digests(key.public_key()); }

}  // namespace

TEST_CASE("an RSA key with another exponent is the same key") {
  RsaSite site;
  const RsaPhoneKey key;
  const RsaPhoneKey twin = key.with_exponent(kOtherExponent);
  REQUIRE(digests(key).sha256 != digests(twin).sha256);
  const DeviceName device = site.add_phone("SEP1");
  const Bytes lsc = site.enrol_rsa(device, key);

  SECTION("of the device that has it, for another one by a request") {
    CHECK(site.refused_to("SEP2", twin) == Reason::kKeyOfAnotherDevice);
  }
  SECTION("and by a bare key, as phones of the wire bring it") {
    auto caller = site.scheduled(site.add_phone("SEP2"));
    caller.transport = rules::Transport::kWire;
    caller.begun = must(site.enrolment.begin(caller)).begun;
    CHECK(refused(site.enrolment.issue(caller, twin.public_key(), Possession::kNone)) == Reason::kKeyOfAnotherDevice);
  }
  SECTION("of the device itself") { site.enrol_rsa(device, twin); }
  SECTION("for ever where it is compromised, and its device is blocked by either") {
    const RsaPhoneKey& named = GENERATE(0, 1) == 0 ? key : twin;
    const auto answer = must(site.certificates.revoke_key(site.administrator, digests(named)));
    CHECK(answer.blocked_device == "SEP1");
    CHECK(site.state_of(lsc) == CertificateState::kRevoked);
    CHECK(site.refused_to("SEP2", key) == Reason::kKeyCompromised);
    CHECK(site.refused_to("SEP3", twin) == Reason::kKeyCompromised);
  }
  SECTION("also where the key that is compromised is named by its digest alone, or its certificate is") {
    if (GENERATE(false, true)) {
      must(site.certificates.revoke_key(site.administrator, digests(key).sha256));
    } else {
      must(site.certificates.revoke(site.administrator, "SEP1", RevocationReason::kKeyCompromise));
    }
    CHECK(site.refused_to("SEP2", twin) == Reason::kKeyCompromised);
    // Each server's journal has both.
    CHECK(site.value("select count(*) from withdrawals where kind = 'key'") == "2");
    Withdrawal seen;
    seen.kind = WithdrawalKind::kKey;
    seen.sha256 = *digests(twin).modulus;
    CHECK(site.value("select count(*) from withdrawals where sha256 = '\\x" + to_hex(seen.sha256) + "'") == "1");
    site.sql("update public_keys set compromised = false");  // an older database
    CHECK(site.refused_to("SEP4", twin) == Reason::kKeyOfAnotherDevice);
    site.high_water.withdrawn().take(seen);
    CHECK(site.refused_to("SEP5", twin) == Reason::kKeyCompromised);
  }
  SECTION("for certificates that are to be blocked") {
    const Manufacturer maker("Maker");
    CHECK(refused(site.trust.block(site.administrator, {maker.mic(twin.botan(), "X-SEP2")})) ==
          Reason::kKeyOfAnotherDevice);
  }
}

TEST_CASE("a blocked certificate's modulus serves nobody with another exponent") {
  RsaSite site;
  const Manufacturer maker("Maker");
  must(site.trust.add(site.administrator, site.anchor_of(maker)));
  const RsaPhoneKey key;
  const RsaPhoneKey twin = key.with_exponent(kOtherExponent);
  SECTION("as a MIC") {
    const auto by_mic = Site::with_certificate(site.add_phone("SEP1"), maker.mic(twin.botan(), "X-SEP1"));
    site.schedule(by_mic.device, kInstall, AuthMode::kMic);
    CHECK(site.enrolment.pending(by_mic));
    must(site.trust.block(site.administrator, {maker.mic(key.botan(), "X-SEP2")}));
    check_stranger(site, by_mic.device, site.enrolment.pending(by_mic), Reason::kCertificateBlocked);
  }
  SECTION("as a phone's key") {
    must(site.trust.block(site.administrator, {maker.mic(key.botan(), "X-SEP2")}));
    CHECK(site.refused_to("SEP1", twin) == Reason::kCertificateBlocked);
  }
  SECTION("as a phone's key, where the block was brought back from a journal") {
    must(site.trust.block(site.administrator, {maker.mic(key.botan(), "X-SEP2")}));
    const std::string row = site.value("select block from withdrawals where kind = 'certificate'");
    site.sql("delete from blocked_certificates");
    must(in_write(site.database(), [&](Transaction& tx) { return tx.blocks().bring_back(row); }));
    CHECK(site.refused_to("SEP1", twin) == Reason::kCertificateBlocked);
  }
}

TEST_CASE("keys of before get their moduli from the LSCs on record, and whoever has the lease next goes on") {
  RsaSite site;
  const RsaPhoneKey key;
  const RsaPhoneKey twin = key.with_exponent(kOtherExponent);
  const RsaPhoneKey lost;
  site.enrol_rsa(site.add_phone("SEP1"), key);
  site.enrol(site.add_phone("SEP2"), PhoneKey());
  site.enrol_rsa(site.add_phone("SEP3"), lost);
  must(site.certificates.revoke_key(site.administrator, digests(lost)));
  site.forget_moduli();
  REQUIRE(site.value("select count(*) from withdrawals where kind = 'key'") == "2");

  SECTION("with what is known of the keys") {
    site.learn("one");
    CHECK(site.value("select count(*) from public_keys where modulus_sha256 is not null") == "2");
    CHECK(site.value("select certificate_id = (select max(id) from certificates) from progress where job = 'moduli'") ==
          "t");
    CHECK(site.refused_to("SEP4", twin) == Reason::kKeyOfAnotherDevice);
    CHECK(site.refused_to("SEP5", lost.with_exponent(kOtherExponent)) == Reason::kKeyCompromised);
    CHECK(site.value("select count(*) from withdrawals where kind = 'key'") == "3");
    const std::string records = site.value("select string_agg(k::text, ' ' order by sha256) from public_keys k");
    site.learn("two");
    CHECK(site.value("select string_agg(k::text, ' ' order by sha256) from public_keys k") == records);
  }
  SECTION("from where the one before was") {
    site.sql("update progress set certificate_id = (select min(id) from certificates)");
    site.learn("two");
    CHECK(site.value("select count(*) from public_keys where modulus_sha256 is not null") == "1");
    CHECK(site.refused_to("SEP5", lost.with_exponent(kOtherExponent)) == Reason::kKeyCompromised);
  }
  SECTION("also by the phone that shows one again") {
    const DeviceName device = must(DeviceName::parse("SEP1"));
    site.enrol_rsa(device, key);
    CHECK(site.refused_to("SEP4", twin) == Reason::kKeyOfAnotherDevice);
  }
  SECTION("and two devices that had one between them go on, until it is compromised") {
    site.enrol_rsa(site.add_phone("SEP4"), twin);
    site.forget_moduli();
    site.learn("one");
    CHECK(site.value("select count(distinct modulus_sha256) from public_keys") == "2");
    CHECK(site.refused_to("SEP5", key.with_exponent(65543)) == Reason::kKeyOfAnotherDevice);
  }
}

TEST_CASE("a key that is marked as compromised while its modulus is learnt takes the modulus with it") {
  RsaSite site;
  const RsaPhoneKey key;
  site.enrol_rsa(site.add_phone("SEP1"), key);
  site.forget_moduli();
  std::thread marking;
  must(site.database().write([&](Transaction& tx) -> Status {
    const std::vector<KeyDigests> keys{digests(key)};
    CAPF_TRY(tx.keys().learn_moduli(keys));
    marking = std::thread([&] {
      const std::vector<Sha256> marked{digests(key).sha256};
      must(in_write(site.database(), [&](Transaction& other) { return other.keys().mark_compromised(marked); }));
    });
    await_waiting(site, 1);
    return {};
  }));
  marking.join();
  CHECK(site.refused_to("SEP2", key.with_exponent(kOtherExponent)) == Reason::kKeyCompromised);
}
