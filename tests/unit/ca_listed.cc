#include <catch2/catch.hpp>

#include "capf/ca/listed.h"
#include "tests/support/data.h"

namespace {

using namespace capf;
using capf::test::read_der;
using Catch::Contains;
using enum TrustRole;

const TimePoint kNow = parse_rfc3339("2027-01-01T00:00:00Z").value();

Result<ca::ListedCertificate> judge(const std::string& name, const TrustRoles& roles, TimePoint now = kNow) {
  return ca::judge_listed(read_der("tvs/certs/" + name + ".pem"), roles, now);
}

/// Why it is refused; the warnings where it is not.
std::string words(const std::string& name, const TrustRoles& roles, TimePoint now = kNow) {
  const auto judged = judge(name, roles, now);
  if (!judged) {
    CHECK(judged.error().reason == Reason::kInvalidCertificate);
    return judged.error().message;
  }
  std::string all;
  for (const std::string& warning : judged->warnings) all += warning + "; ";
  return all;
}

TEST_CASE("certificates that phones know are taken in the roles that they can have") {
  CHECK(words("sast_a", {kSast, kTftp}).empty());
  CHECK(words("ccm", {kCcm}).empty());
  CHECK(words("app_ec", {kAppServer}).empty());
  CHECK(words("tftp_ec", {kTftp}).empty());
  const auto judged = judge("sast_a", {kSast});
  REQUIRE(judged);
  CHECK(judged->facts.subject.find("CN=List signer A") != std::string::npos);
  CHECK(to_hex(judged->facts.serial) == "f3a1c2d4e5f60718293a4b5c6d7e8f90");
}

TEST_CASE("what signs lists or files has an RSA key of a size that their headers can say") {
  CHECK_THAT(words("sast_ec", {kSast}), Contains("EC key"));
  CHECK_THAT(words("sast_ec", {kTvs, kSast}), Contains("EC key"));
  for (const TrustRole role : {kSast, kTftp, kCcmTftp}) CHECK_THAT(words("sast_3072", {role}), Contains("3072 bits"));
  CHECK_THAT(words("sast_3072", {kCcm}), Contains("up to 2048 bits"));
  CHECK_THAT(words("sast_4096", {kSast}), Contains("up to 2048 bits"));
}

TEST_CASE("an expired certificate, and one that signs certificates alone, has no role") {
  CHECK_THAT(words("ccm", {kCcm}, parse_rfc3339("2046-01-01").value()), Contains("expired at 2036-"));
  CHECK_THAT(words("ca_only", {kAppServer}), Contains("a CA's alone"));
  CHECK(ca::judge_listed(Bytes(100, 0x30), {kCcm}, kNow).error().reason == Reason::kInvalidCertificate);
  CHECK(judge("ccm", {}).error().reason == Reason::kInvalidRequest);
}

TEST_CASE("phones mind a subject without O and OU, and a certificate whose time has not come") {
  CHECK_THAT(words("capf", {kCapf}), Contains("lacks O and OU"));
  CHECK_THAT(words("ccm", {kCcm}, parse_rfc3339("2026-01-01").value()), Contains("valid only from 2026-11-"));
}

}  // namespace
