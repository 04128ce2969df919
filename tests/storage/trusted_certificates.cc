#include "capf/service/trusted_certificates.h"

#include <thread>

#include <catch2/catch.hpp>

#include "capf/domain/block_store.h"
#include "capf/domain/key_store.h"
#include "capf/service/trust.h"
#include "tests/support/data.h"
#include "tests/support/expect.h"
#include "tests/support/site.h"

// Certificates of others that phones are to trust. Those of tests/data/tvs are valid from November 2026 on.

using namespace capf;
using namespace capf::test;

namespace {

struct ListSite : Site {
  service::TrustedCertificateRequest request(const std::string& name, TrustRoles roles) {
    return {.file = read_data("tvs/certs/" + name + ".pem"), .roles = std::move(roles), .dns = {}, .address = {}};
  }
  TrustedCertificate add(const std::string& name, TrustRoles roles) {
    return must(trusted.add(administrator, request(name, std::move(roles)))).certificate;
  }

  service::TrustedCertificates trusted{database()};
};

}  // namespace

TEST_CASE("a certificate that phones are to trust is kept as it was added, found and removed") {
  ListSite site;
  auto wanted = site.request("sast_a", {TrustRole::kTftp, TrustRole::kSast, TrustRole::kTftp});
  wanted.dns = "files.example.org";
  wanted.address = must(Address::parse("192.0.2.7"));
  wanted.vouch_only = true;
  const TrustedCertificate added = must(site.trusted.add(site.administrator, wanted)).certificate;
  CHECK(added.roles == TrustRoles{TrustRole::kSast, TrustRole::kTftp});

  const auto found = must(site.trusted.find(added.sha256));
  REQUIRE(found);
  CHECK(found->der == read_der("tvs/certs/sast_a.pem"));
  CHECK(found->subject == added.subject);
  CHECK(found->issuer == added.issuer);
  CHECK(found->not_before == added.not_before);
  CHECK(found->not_after == added.not_after);
  CHECK(found->roles == added.roles);
  CHECK(found->dns == "files.example.org");
  CHECK(found->address == wanted.address);
  CHECK(found->vouch_only);
  CHECK(found->added_by == "tester");
  CHECK_FALSE(found->blocked);
  const auto by_serial = must(site.trusted.find_by_serial(must(parse_hex("f3a1c2d4e5f60718293a4b5c6d7e8f90")), 16));
  REQUIRE(by_serial.size() == 1);
  CHECK(by_serial.front().sha256 == added.sha256);
  CHECK(must(site.trusted.find_by_serial(Bytes{1}, 16)).empty());

  const TrustedCertificate other = site.add("ccm", {TrustRole::kCcm});
  const auto first = must(site.trusted.list({.after = 0, .limit = 1}));
  REQUIRE(first.size() == 1);
  CHECK(first.front().sha256 == added.sha256);
  CHECK(must(site.trusted.list({.after = first.front().id, .limit = 10})).front().sha256 == other.sha256);

  CHECK(must(site.trusted.remove(site.administrator, to_hex(added.sha256).substr(0, 8))).sha256 == added.sha256);
  CHECK_FALSE(must(site.trusted.find(added.sha256)));
  CHECK(refused(site.trusted.remove(site.administrator, to_hex(added.sha256))) == Reason::kUnknownCertificate);
  CHECK(refused(site.trusted.remove(site.administrator, "1234567")) == Reason::kInvalidRequest);
  CHECK(site.value("select string_agg(action || ' ' || detail, ' | ' order by id) from audit_events "
                   "where action like 'trusted_certificate.%' and subject = '" +
                   to_hex(added.sha256) + "'") ==
        "trusted_certificate.add sast, tftp: " + added.subject +
            ", name files.example.org, address 192.0.2.7, in no list | trusted_certificate.remove sast, tftp: " +
            added.subject + ", name files.example.org, address 192.0.2.7, in no list");
}

TEST_CASE(
    "a certificate is refused in a role that it cannot have, twice, and where it is blocked, and nothing is done") {
  ListSite site;
  const auto why = [&](service::TrustedCertificateRequest request) {
    return refused(site.trusted.add(site.administrator, request));
  };
  CHECK(why(site.request("sast_ec", {TrustRole::kSast})) == Reason::kInvalidCertificate);
  CHECK(why(site.request("ccm", {})) == Reason::kInvalidRequest);
  auto two = site.request("ccm", {TrustRole::kCcm});
  const Bytes another = read_data("tvs/certs/capf.pem");
  two.file.insert(two.file.end(), another.begin(), another.end());
  CHECK(why(two) == Reason::kInvalidCertificate);
  auto named = site.request("ccm", {TrustRole::kCcm});
  named.dns = "sip_1.example.org/";
  CHECK(why(named) == Reason::kInvalidRequest);
  auto placed = site.request("ccm", {TrustRole::kCcm});
  placed.address = must(Address::parse("2001:db8::1"));
  CHECK(why(placed) == Reason::kInvalidRequest);
  CHECK(must(site.trusted.list({})).empty());

  const TrustedCertificate ccm = site.add("ccm", {TrustRole::kCcm});
  CHECK(why(site.request("ccm", {TrustRole::kAppServer})) == Reason::kAnchorExists);
  must(site.trust.block(site.administrator, {read_data("tvs/certs/ccm.pem")}));
  CHECK(must(site.trusted.find(ccm.sha256))->blocked);
  must(site.trusted.remove(site.administrator, to_hex(ccm.sha256)));
  CHECK(why(site.request("ccm", {TrustRole::kCcm})) == Reason::kInvalidCertificate);
  CHECK(must(site.trusted.add(site.administrator, site.request("capf", {TrustRole::kCapf}))).warnings.size() == 1);
}

TEST_CASE("a certificate of others whose key is revoked goes, and none with that key comes") {
  ListSite site;
  const TrustedCertificate ccm = site.add("ccm", {TrustRole::kCcm});
  const TrustedCertificate other = site.add("capf", {TrustRole::kCapf});
  const KeyDigests key = must(ca::read_certificate(ccm.der)).key;
  must(site.certificates.revoke_key(site.administrator, key, "it leaked"));
  CHECK_FALSE(must(site.trusted.find(ccm.sha256)));
  CHECK(must(site.trusted.find(other.sha256)));
  CHECK(refused(site.trusted.add(site.administrator, site.request("ccm", {TrustRole::kCcm}))) ==
        Reason::kInvalidCertificate);
}

TEST_CASE("a certificate that is added while its key is revoked waits for that, and is refused") {
  ListSite site;
  const auto wanted = site.request("ccm", {TrustRole::kCcm});
  const std::vector<Sha256> key = must(ca::read_certificate(read_der("tvs/certs/ccm.pem"))).key.all();
  std::thread adding;
  Result<service::TrustedCertificateAdded> added = fail(Reason::kInternal);
  must(site.database().write([&](Transaction& tx) -> Status {  // as 'certificate revoke --key' does
    CAPF_TRY(tx.blocks().lock());
    adding = std::thread([&] { added = site.trusted.add(site.administrator, wanted); });
    await_waiting(site, 1);
    return tx.keys().mark_compromised(key);
  }));
  adding.join();
  CHECK(refused(added) == Reason::kInvalidCertificate);
  CHECK(must(site.trusted.list({})).empty());
}
