#include <botan/auto_rng.h>
#include <botan/numthry.h>
#include <catch2/catch.hpp>

#include "capf/ca/spki.h"
#include "capf/service/administrators.h"
#include "capf/service/commonprimes.h"
#include "tests/support/expect.h"
#include "tests/support/site.h"

// Keys that others can make too: those on the site's list, and those with a prime of another key on record.

using namespace capf;
using namespace capf::test;
using Botan::BigInt;

namespace {

BigInt prime(std::size_t bits) {
  Botan::AutoSeeded_RNG random;
  return Botan::random_prime(random, bits);
}

Bytes bare_key(const BigInt& modulus) { return Botan::RSA_PublicKey(modulus, 65537).subject_public_key(); }

struct WeakSite : Site {
  service::Caller scheduled(const DeviceName& device, int bits = 2048) {
    service::ScheduleRequest request;
    request.devices = {device};
    request.kind = kInstall;
    request.auth = AuthMode::kString;
    request.key = {KeyOrder::kRsa, bits, 256};
    const auto answer = must(operations.schedule(administrator, request));
    return with_string(device, std::string(answer.operations.front().auth_string.text()));
  }
  Bytes enrol_rsa(const std::string& name, const RsaPhoneKey& key) {
    const auto caller = scheduled(add_phone(name));
    const auto issued = must(enrolment.issue(caller, key.request()));
    must(enrolment.confirm(caller, sha256(issued.certificate)));
    return issued.certificate;
  }
  /// As a phone of the wire, which proves no possession.
  Bytes enrol_bare(const std::string& name, const BigInt& modulus) {
    auto caller = scheduled(add_phone(name), static_cast<int>(modulus.bits()));
    caller.transport = rules::Transport::kWire;
    caller.begun = must(enrolment.begin(caller)).begun;
    const auto issued = must(enrolment.issue(caller, bare_key(modulus), Possession::kNone));
    must(enrolment.confirm(caller, sha256(issued.certificate)));
    return issued.certificate;
  }
  void list(const Bytes& public_key) { blacklist.replace({ca::key_digests(public_key).listed.value()}); }
  /// @return how many keys a comparison that is due now revokes
  int compare(std::size_t together = service::CommonPrimes::kTogether) {
    sql("delete from leases where name = 'common_primes'; update certificates set issued_at = issued_at - interval '1 "
        "hour'");
    service::CommonPrimes job(database(), certificates, "test", together);
    return must(job.run(std::chrono::hours{24})).value();
  }
  bool is_blocked(const std::string& device) {
    return must(phones.show(must(DeviceName::parse(device)))).phone.blocked_at.has_value();
  }
};

}  // namespace

TEST_CASE("a key on the site's list is refused wherever one is brought") {
  WeakSite site;
  const RsaPhoneKey key;
  SECTION("for an LSC, by either transport") {
    site.list(key.public_key());
    CHECK(refused(site.enrolment.issue(site.scheduled(site.add_phone("SEP1")), key.request())) == Reason::kKeyListed);
    auto caller = site.scheduled(site.add_phone("SEP2"));
    caller.transport = rules::Transport::kWire;
    caller.begun = must(site.enrolment.begin(caller)).begun;
    CHECK(refused(site.enrolment.issue(caller, key.public_key(), Possession::kNone)) == Reason::kKeyListed);
    site.enrol_rsa("SEP3", RsaPhoneKey());
  }
  SECTION("as the LSC's that was issued before") {
    const DeviceName device = must(DeviceName::parse("SEP1"));
    const Bytes lsc = site.enrol_rsa("SEP1", key);
    CHECK(site.enrolment.pending(Site::with_certificate(device, lsc)));
    site.list(key.public_key());
    check_stranger(site, device, site.enrolment.pending(Site::with_certificate(device, lsc)), Reason::kKeyListed);
  }
  SECTION("as a MIC's") {
    const Manufacturer maker("Maker");
    service::AnchorRequest anchor;
    anchor.files = {maker.root()};
    must(site.trust.add(site.administrator, anchor));
    const auto by_mic = Site::with_certificate(site.add_phone("SEP1"), maker.mic(key.botan(), "X-SEP1"));
    site.schedule(by_mic.device, kInstall, AuthMode::kMic);
    CHECK(site.enrolment.pending(by_mic));
    site.list(key.public_key());
    check_stranger(site, by_mic.device, site.enrolment.pending(by_mic), Reason::kKeyListed);
    SECTION("or beside another proof") {
      auto beside = by_mic;
      beside.device = site.add_phone("SEP2");
      beside.certificate->leaf = maker.mic(PhoneKey(), "X-SEP2");
      beside.certificate->second = maker.mic(key.botan(), "X-SEP2");
      site.schedule(beside.device, kInstall, AuthMode::kMic);
      check_stranger(site, beside.device, site.enrolment.pending(beside), Reason::kKeyListed);
    }
  }
  SECTION("as an anchor's") {
    Botan::X509_Cert_Options options("A root/XX/Maker");
    options.CA_key(1);
    service::AnchorRequest anchor;
    anchor.files = {
        Botan::X509::create_self_signed_cert(options, key.botan(), "SHA-256", Botan::system_rng()).BER_encode()};
    site.list(key.public_key());
    CHECK(refused(site.trust.add(site.administrator, anchor)) == Reason::kKeyListed);
    site.blacklist.replace({});
    must(site.trust.add(site.administrator, anchor));
  }
  SECTION("as an administrator's") {
    const SystemClock clock;
    const auto site_key = must(ca::generate_key(ca::KeyAlgorithm::kP256));
    const Bytes certificate = must(ca::make_site_ca(*site_key, {"CN=Site CA", clock.now()}, Botan::system_rng()));
    service::Administrators administrators(site.database(), *site_key, certificate, clock, site.high_water,
                                           site.blacklist, Botan::system_rng());
    site.list(key.public_key());
    CHECK(refused(administrators.add(site.administrator, "one", Role::kAdmin, key.request())) == Reason::kKeyListed);
    must(administrators.add(site.administrator, "two", Role::kAdmin, RsaPhoneKey().request()));
  }
  SECTION("as an issuer's that is imported") {
    const SystemClock clock;
    const auto imported = [&] {
      service::IssuerRequest request;
      request.imported.emplace();
      request.imported->key = must(ca::generate_key(ca::KeyAlgorithm::kRsa2048));
      request.imported->certificate =
          must(ca::make_capf_certificate(*request.imported->key, {"CN=Next", clock.now()}, Botan::system_rng()));
      return request;
    };
    auto listed = imported();
    site.list(listed.imported->key->public_key());
    const auto refusal = refused(site.issuers.add(site.administrator, std::move(listed)));
    CHECK(refusal == Reason::kKeyListed);
    must(site.issuers.add(site.administrator, imported()));
  }
}

TEST_CASE("keys with a common prime are revoked with their phones, once") {
  WeakSite site;
  const BigInt shared = prime(1024);
  const Bytes one = site.enrol_rsa("SEP1", RsaPhoneKey(shared, prime(1024)));
  site.enrol(site.add_phone("SEP2"), PhoneKey());
  const Bytes good = site.enrol_rsa("SEP3", RsaPhoneKey());
  const Bytes two = site.enrol_rsa("SEP4", RsaPhoneKey(shared, prime(1024)));
  // At once, one by one, and in batches that part them.
  const std::size_t together = GENERATE(8192, 1, 2);
  CAPTURE(together);
  CHECK(site.compare(together) == 2);
  CHECK(site.state_of(one) == CertificateState::kRevoked);
  CHECK(site.state_of(two) == CertificateState::kRevoked);
  CHECK(site.state_of(good) == CertificateState::kConfirmed);
  CHECK(site.is_blocked("SEP1"));
  CHECK_FALSE(site.is_blocked("SEP2"));
  CHECK_FALSE(site.is_blocked("SEP3"));
  CHECK(site.is_blocked("SEP4"));
  CHECK(site.value("select count(*) from revocations where reason = 1") == "2");
  CHECK(
      site.value("select count(*) from audit_events where action = 'key.block' and detail like 'of SEP1, serial %: it "
                 "has a prime in common with that of SEP4, serial %'") == "1");
  const std::string events = site.value("select count(*) from audit_events");
  CHECK(site.compare(together) == 0);
  site.sql("update progress set certificate_id = 0");  // and from its beginning
  CHECK(site.compare(together) == 0);
  CHECK(site.value("select count(*) from audit_events") == events);
}

TEST_CASE("a key that comes later is compared with all before it") {
  WeakSite site;
  const BigInt shared = prime(1024);
  site.enrol_rsa("SEP1", RsaPhoneKey(shared, prime(1024)));
  site.enrol_rsa("SEP2", RsaPhoneKey());
  CHECK(site.compare() == 0);
  CHECK(site.value("select certificate_id = (select max(id) from certificates) from progress where job = "
                   "'common_primes'") == "t");
  site.enrol_rsa("SEP3", RsaPhoneKey(shared, prime(1024)));
  CHECK(site.compare(GENERATE(8192, 1)) == 2);
  CHECK(site.is_blocked("SEP1"));
  CHECK_FALSE(site.is_blocked("SEP2"));
  CHECK(site.is_blocked("SEP3"));
}

TEST_CASE("nobody gets another one's phone blocked by a multiple of its modulus, or by its key once more") {
  WeakSite site;
  const RsaPhoneKey key;
  const Bytes victim = site.enrol_rsa("SEP1", key);
  BigInt multiple;
  do multiple = key.botan().get_n() * prime(2048);
  while (multiple.bits() != 4096);
  const Bytes forged = site.enrol_bare("SEP2", multiple);
  // The same key again, in a renewal.
  const DeviceName device = must(DeviceName::parse("SEP1"));
  const auto again = must(site.enrolment.issue(site.scheduled(device), key.request()));
  CHECK(site.compare(GENERATE(8192, 1)) == 1);
  CHECK_FALSE(site.is_blocked("SEP1"));
  CHECK(site.state_of(victim) == CertificateState::kConfirmed);
  CHECK(site.is_blocked("SEP2"));
  CHECK(site.state_of(forged) == CertificateState::kRevoked);
}

TEST_CASE("certificates that phones have handed over are compared too") {
  WeakSite site;
  const BigInt shared = prime(1024);
  const Manufacturer maker("Maker");
  service::AnchorRequest anchor;
  anchor.files = {maker.root()};
  must(site.trust.add(site.administrator, anchor));
  const RsaPhoneKey mic_key(shared, prime(1024));
  const Bytes mic = maker.mic(mic_key.botan(), "X-SEP1");
  const auto by_mic = Site::with_certificate(site.add_phone("SEP1"), mic);
  site.schedule(by_mic.device, OperationKind::kTroubleshoot, AuthMode::kMic);
  must(site.enrolment.hand_over(by_mic, {mic}));
  site.enrol_rsa("SEP2", RsaPhoneKey(shared, prime(1024)));
  CHECK(site.compare() == 2);
  CHECK(site.is_blocked("SEP1"));
  CHECK(site.is_blocked("SEP2"));
}

TEST_CASE("one server compares in a period, and one that stops leaves the rest to the next") {
  WeakSite site;
  const BigInt shared = prime(1024);
  site.enrol_rsa("SEP1", RsaPhoneKey(shared, prime(1024)));
  site.enrol_rsa("SEP2", RsaPhoneKey(shared, prime(1024)));
  service::CommonPrimes stopped(site.database(), site.certificates, "one");
  stopped.stop();
  CHECK(must(stopped.run(std::chrono::hours{24})) == 0);
  service::CommonPrimes other(site.database(), site.certificates, "two");
  CHECK_FALSE(must(other.run(std::chrono::hours{24})));
  CHECK(site.value("select certificate_id from progress where job = 'common_primes'") == "0");
  CHECK(site.compare() == 2);
}
