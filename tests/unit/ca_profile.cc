#include <functional>
#include <set>

#include <botan/auto_rng.h>
#include <catch2/catch.hpp>

#include "capf/ca/profile.h"
#include "tests/support/data.h"

using namespace capf;
using namespace capf::test;

namespace {

/// An issuer's profile, an LSC planned under it, and a key to sign anything with.
struct Bench {
  std::unique_ptr<ca::SigningKey> key = read_key("rsa-2048");
  Botan::AutoSeeded_RNG random;
  ca::CertificateSigner signer{key->botan(), random};
  ca::LscProfile profile;
  ca::CertificatePlan plan;

  Bench() {
    const Bytes der = read_der("authority/self.pem");
    const auto facts = ca::read_certificate(der).value();
    profile = {Botan::X509_Certificate(der), facts.not_before, facts.not_after, 3, 4, "http://capf.example.com:3807"};
    const ca::LscRequest request{DeviceName::parse("SEP001122334455").value(),
                                 "",
                                 "",
                                 read_key("phone")->public_key(),
                                 test_now(),
                                 std::chrono::hours{24 * 365},
                                 SubjectForm::kPlain};
    plan = ca::plan_lsc(profile, request, ca::make_serial(random)).value();
  }
  Status check(const Bytes& der) { return ca::check_lsc(der, plan, profile, key->botan()); }
  Bytes build(const ca::CertificatePlan& other) { return ca::build_certificate(other, signer, random).value(); }
};

}  // namespace

TEST_CASE("what was planned passes") {
  Bench bench;
  CHECK(bench.check(bench.build(bench.plan)));
}

TEST_CASE("a certificate with one thing changed does not pass") {
  Bench bench;
  struct Change {
    std::string what;
    std::function<void(ca::CertificatePlan&)> apply;
  };
  const std::vector<Change> changes{
      {"serial", [](auto& plan) { plan.serial[5] ^= 1; }},
      {"issuer",
       [](auto& plan) {
         plan.issuer = Botan::X509_DN({{Botan::OID("2.5.4.3"), "x"}});
       }},
      {"subject",
       [](auto& plan) {
         plan.subject = Botan::X509_DN({{Botan::OID("2.5.4.3"), "SEP001122334456"}});
       }},
      {"another key", [](auto& plan) { plan.public_key = read_key("forger")->public_key(); }},
      {"start", [](auto& plan) { plan.not_before -= std::chrono::seconds{1}; }},
      {"end", [](auto& plan) { plan.not_after += std::chrono::seconds{1}; }},
      {"CA", [](auto& plan) { plan.ca = true; }},
      {"key usage", [](auto& plan) { plan.key_usage |= ca::kKeyCertSign; }},
      {"less key usage", [](auto& plan) { plan.key_usage = ca::kDigitalSignature; }},
      {"a purpose more", [](auto& plan) { plan.extended_key_usage.emplace_back("1.3.6.1.5.5.7.3.9"); }},
      {"a purpose less", [](auto& plan) { plan.extended_key_usage.pop_back(); }},
      {"no purpose", [](auto& plan) { plan.extended_key_usage.clear(); }},
      {"authority key", [](auto& plan) { plan.authority_key_id[0] ^= 1; }},
      {"no authority key", [](auto& plan) { plan.authority_key_id.clear(); }},
      {"CRL", [](auto& plan) { plan.crl_url += "x"; }},
      {"no CRL", [](auto& plan) { plan.crl_url.clear(); }},
      {"OCSP", [](auto& plan) { plan.ocsp_url += "x"; }},
      {"issuer's address", [](auto& plan) { plan.issuer_url += "x"; }},
      {"no information",
       [](auto& plan) {
         plan.ocsp_url.clear();
         plan.issuer_url.clear();
       }},
      {"a host", [](auto& plan) { plan.hosts = {"example.com"}; }},
  };
  for (const Change& change : changes) {
    CAPTURE(change.what);
    ca::CertificatePlan other = bench.plan;
    change.apply(other);
    CHECK(reason_of(bench.check(bench.build(other))) == Reason::kCertificateCheckFailed);
  }
}

TEST_CASE("a certificate with one octet changed does not pass") {
  Bench bench;
  const Bytes good = bench.build(bench.plan);
  for (std::size_t i = 0; i < good.size(); i += 3) {
    Bytes changed = good;
    changed[i] ^= 0x10;
    CAPTURE(i);
    CHECK(reason_of(bench.check(changed)) == Reason::kCertificateCheckFailed);
  }
}

TEST_CASE("a certificate that another key signed does not pass") {
  Bench bench;
  const auto forger = read_key("forger");
  ca::CertificateSigner signer(forger->botan(), bench.random);
  const Bytes forged = ca::build_certificate(bench.plan, signer, bench.random).value();
  CHECK(reason_of(bench.check(forged)) == Reason::kCertificateCheckFailed);
}

TEST_CASE("a plan that is no LSC's does not pass, even where it was signed as planned") {
  Bench bench;
  SECTION("a CA") {
    bench.plan.ca = true;
    bench.plan.key_usage |= ca::kKeyCertSign;
  }
  SECTION("the right to sign certificates") { bench.plan.key_usage |= ca::kKeyCertSign; }
  SECTION("an end after the issuer's") { bench.plan.not_after = bench.profile.not_after + std::chrono::seconds{1}; }
  SECTION("a start before the issuer's") { bench.plan.not_before = bench.profile.not_before - std::chrono::seconds{1}; }
  SECTION("a short serial number") { bench.plan.serial.resize(8); }
  CHECK(reason_of(bench.check(bench.build(bench.plan))) == Reason::kCertificateCheckFailed);
}

TEST_CASE("serial numbers are positive, of one length, and differ") {
  Botan::AutoSeeded_RNG random;
  std::set<Bytes> seen;
  for (int i = 0; i < 200; ++i) {
    const Bytes serial = ca::make_serial(random);
    CHECK(serial.size() == 16);
    CHECK((serial[0] & 0xC0) == 0x40);
    seen.insert(serial);
  }
  CHECK(seen.size() == 200);
}

TEST_CASE("serial numbers spread over the shards") {
  Botan::AutoSeeded_RNG random;
  std::vector<int> counts(4);
  for (int i = 0; i < 400; ++i) ++counts.at(static_cast<std::size_t>(ca::shard_of(ca::make_serial(random), 4)));
  for (const int count : counts) CHECK(count > 40);
  CHECK(ca::shard_of(ca::make_serial(random), 1) == 0);
}
