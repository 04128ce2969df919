#include <algorithm>
#include <map>

#include <catch2/catch.hpp>

#include "tests/support/phone_files.h"

using namespace capf;
using files::Digest;
using files::Listed;
using files::ListKind;

namespace {

const test::PhoneFiles kData{std::string(CAPF_TEST_DATA) + "/phone-files"};

const test::Signatory& list_signer() {
  static const test::Signatory kSigner(kData, "sast_a");
  return kSigner;
}

std::vector<Listed> good_parts() {
  return {kData.listed("sast_a", {TrustRole::kSast}), kData.listed("sast_b", {TrustRole::kSast}),
          kData.listed("tftp", {TrustRole::kTftp}), kData.listed("capf", {TrustRole::kCapf})};
}

files::ListTerms good_terms() { return {ListKind::kItl, Digest::kSha512, false, test::files_now()}; }

Bytes build(const std::vector<Listed>& parts, const files::ListTerms& terms = good_terms(),
            const test::Signatory& signatory = list_signer()) {
  return files::build_trust_list(terms, parts, signatory.signer()).value();
}

template <class T>
std::string reason_of(const Result<T>& result) {
  return result ? "" : std::string(to_string(result.error().reason));
}

/// The reasons for which a list is not published.
std::vector<std::string> refusals(BytesView list, BytesView present = {}, TimePoint now = test::files_now()) {
  const Bytes capf = kData.der("capf");
  std::vector<std::string> reasons;
  for (const Error& error : files::check_publication({list, ListKind::kItl, present, capf, now}).refusals) {
    reasons.emplace_back(to_string(error.reason));
  }
  return reasons;
}

using Reasons = std::vector<std::string>;

}  // namespace

TEST_CASE("lists that open tools and the call manager's form have are read") {
  const std::map<std::string, std::vector<std::string>> lists{
      {"itl/a/ITLFile.tlv", {"sast", "ccm", "capf", "tvs"}},
      {"itl/b/ITLFile.tlv",
       {"sast", "sast", "ccm", "ccm+tftp", "tftp", "tftp", "capf", "app-server", "app-server", "tvs"}},
      {"itl/c/ITLSEP001122334455.tlv", {"sast", "tftp", "capf"}},
      {"itl/d/ITLFile.tlv", {"sast", "capf"}},
      {"itl/e/ITLFile.tlv", {"sast", "capf"}},
      {"itl/f/ITLFile.tlv", {"sast"}},
      {"ctl/CTLFile.tlv", {"sast", "sast", "ccm+tftp", "capf", "app-server"}},
      {"ctl/CTLSEP00AABBCCDDEE.tlv", {"sast", "sast", "ccm", "capf"}},
      {"listing_form/mixed_CTLFile.tlv", {"sast", "ccm+tftp", "capf"}},
      {"listing_form/nonsecure_CTLFile.tlv", {"sast", "ccm+tftp", "capf"}},
  };
  for (const auto& [path, roles] : lists) {
    CAPTURE(path);
    const auto list = files::read_trust_list(kData.octets(path),
                                             path.find("CTL") == std::string::npos ? ListKind::kItl : ListKind::kCtl);
    REQUIRE(list);
    std::vector<std::string> found;
    for (const files::Record& record : list->records) found.emplace_back(to_string(record.role));
    CHECK(found == roles);
  }
  const auto nonsecure = files::read_trust_list(kData.octets("listing_form/nonsecure_CTLFile.tlv"), ListKind::kCtl);
  CHECK_FALSE(nonsecure->records[1].certificate);
  CHECK(nonsecure->records[1].dns == "192.0.2.153");
  CHECK(nonsecure->records[1].address == files::Ipv4{192, 0, 2, 153});
}

TEST_CASE("a list says what was listed") {
  Listed server = kData.listed("ccm", {TrustRole::kCcm, TrustRole::kCcmTftp});
  server.dns = "sip.example.org";
  server.address = files::Ipv4{192, 0, 2, 11};
  std::vector<Listed> parts = good_parts();
  parts.push_back(server);
  const auto list =
      files::read_trust_list(build(parts, {ListKind::kCtl, Digest::kSha1, true, test::files_now()}), ListKind::kCtl);
  REQUIRE(list);
  CHECK(list->header.digest == Digest::kSha1);
  CHECK(list->header.https);
  CHECK(list->header.made_at == test::files_now());
  CHECK(list->header.serial == list_signer().certificate().serial());
  REQUIRE(list->records.size() == 6);
  CHECK(list->signer == 0);
  for (const std::size_t i : {4U, 5U}) {
    CHECK(list->records[i].certificate->der() == kData.der("ccm"));
    CHECK(list->records[i].dns == server.dns);
    CHECK(list->records[i].address == server.address);
  }
}

TEST_CASE("no bit of a list can be flipped unnoticed") {
  Bytes list = build({kData.listed("sast_a", {TrustRole::kSast}), {{}, {TrustRole::kTftp}, "files"}});
  REQUIRE(files::read_trust_list(list, ListKind::kItl));
  for (std::size_t bit = 0; bit < 8 * list.size(); ++bit) {
    list[bit / 8] = static_cast<std::uint8_t>(list[bit / 8] ^ 1U << bit % 8);
    if (files::read_trust_list(list, ListKind::kItl)) FAIL("bit " << bit);
    list[bit / 8] = static_cast<std::uint8_t>(list[bit / 8] ^ 1U << bit % 8);
  }
}

TEST_CASE("no piece of a list is a list") {
  const Bytes list = build(good_parts());
  for (std::size_t size = 0; size < list.size(); ++size) {
    if (files::read_trust_list(BytesView(list).first(size), ListKind::kItl)) FAIL("the first " << size);
  }
}

TEST_CASE("a list that no phone could use is not written") {
  const auto built = [](const std::vector<Listed>& parts, const test::Signatory& signatory = list_signer()) {
    return reason_of(files::build_trust_list(good_terms(), parts, signatory.signer()));
  };
  std::vector<Listed> parts = good_parts();
  CHECK(built(parts).empty());
  CHECK(built({}) == "FILE_MALFORMED");
  CHECK(built({kData.listed("sast_b", {TrustRole::kSast})}) == "FILE_SIGNATURE");
  CHECK(built({kData.listed("sast_a", {TrustRole::kTftp}), kData.listed("sast_b", {TrustRole::kSast})}) ==
        "FILE_SIGNATURE");
  parts.push_back(kData.listed("tvs", {TrustRole::kSast}));
  CHECK(built(parts) == "FILE_MALFORMED");
  parts = good_parts();
  parts[3].dns = "two words";
  CHECK(built(parts) == "INVALID_REQUEST");
  parts[3].dns = std::string(256, 'a');
  CHECK(built(parts) == "INVALID_REQUEST");
  parts = good_parts();
  parts[3].certificate.push_back(0);
  CHECK(built(parts) == "INVALID_CERTIFICATE");
  parts = good_parts();
  parts.resize(48, kData.listed("sast_4096", {TrustRole::kAppServer}));
  CHECK(built(parts) == "TRUST_LIST_UNFIT");
  const test::Signatory odd(kData, "sast_3072");
  CHECK(built({kData.listed("sast_3072", {TrustRole::kSast})}, odd) == "CERTIFICATE_ROLE");
  const test::Signatory ec(kData, "sast_ec");
  CHECK(built({kData.listed("sast_ec", {TrustRole::kSast})}, ec) == "CERTIFICATE_ROLE");
  const auto key = kData.key("sast_b");
  const files::FileSigner other{list_signer().certificate(), *key, Botan::system_rng()};
  CHECK(reason_of(files::build_trust_list(good_terms(), good_parts(), other)) == "CERTIFICATE_ROLE");
}

TEST_CASE("the list is made for its time") {
  files::ListTerms terms = good_terms();
  terms.made_at = TimePoint(std::chrono::seconds(0xFFFFFFFF));
  CHECK(files::read_trust_list(build(good_parts(), terms), ListKind::kItl)->header.made_at == terms.made_at);
  terms.made_at += std::chrono::seconds(1);
  CHECK(reason_of(files::build_trust_list(terms, good_parts(), list_signer().signer())) == "INVALID_REQUEST");
  terms.made_at = TimePoint(std::chrono::seconds(-1));
  CHECK(reason_of(files::build_trust_list(terms, good_parts(), list_signer().signer())) == "INVALID_REQUEST");
}

TEST_CASE("a phone follows a list that a SAST of its own has signed") {
  const test::Signatory recovery(kData, "sast_b");
  const test::Signatory stranger(kData, "sast_4096");
  const auto present = files::read_trust_list(build(good_parts()), ListKind::kItl).value();
  std::vector<Listed> next = good_parts();
  next[0] = kData.listed("sast_4096", {TrustRole::kSast});
  CHECK(files::follows(present, files::read_trust_list(build(next, good_terms(), recovery), ListKind::kItl).value()));
  CHECK_FALSE(
      files::follows(present, files::read_trust_list(build(next, good_terms(), stranger), ListKind::kItl).value()));
}

TEST_CASE("a list is judged before it is published") {
  const Bytes good = build(good_parts());
  CHECK(refusals(good).empty());
  CHECK(refusals(good, good).empty());

  SECTION("CAPF's present certificate is in it, as CAPF") {
    CHECK(refusals(build({kData.listed("sast_a", {TrustRole::kSast})})) == Reasons{"TRUST_LIST_UNFIT"});
    CHECK(refusals(build({kData.listed("sast_a", {TrustRole::kSast}), kData.listed("capf", {TrustRole::kTvs})})) ==
          Reasons{"TRUST_LIST_UNFIT"});
  }
  SECTION("no certificate has expired but those that phones have in the same role") {
    const TimePoint later = parse_rfc3339("2036-11-25T00:00:00Z").value();
    CHECK(refusals(good, {}, later) == Reasons(2, "CERTIFICATE_ROLE"));
    CHECK(refusals(good, good, later).empty());
    const Listed signer = kData.listed("sast_a", {TrustRole::kSast});
    const Listed capf = kData.listed("capf", {TrustRole::kCapf});
    CHECK(refusals(good, build({signer, capf}), later) == Reasons{"CERTIFICATE_ROLE"});
    const Listed other_role = kData.listed("tftp", {TrustRole::kAppServer});
    CHECK(refusals(good, build({signer, other_role, capf}), later) == Reasons{"CERTIFICATE_ROLE"});
  }
  SECTION("it is not larger than phones take") {
    std::vector<Listed> parts = good_parts();
    parts.resize(files::kMostListed, kData.listed("app_ec", {TrustRole::kAppServer}));
    CHECK(refusals(build(parts)).empty());
    parts.push_back(kData.listed("app_ec", {TrustRole::kAppServer}));
    CHECK(refusals(build(parts)) == Reasons{"TRUST_LIST_UNFIT"});
  }
  SECTION("phones can follow it") {
    const test::Signatory stranger(kData, "sast_4096");
    const Bytes next = build({kData.listed("sast_4096", {TrustRole::kSast}), kData.listed("capf", {TrustRole::kCapf})},
                             good_terms(), stranger);
    CHECK(refusals(next).empty());
    CHECK(refusals(next, good) == Reasons{"TRUST_LIST_NOT_FOLLOWED"});
    CHECK(refusals(good, as_bytes("no list")) == Reasons{"TRUST_LIST_NOT_FOLLOWED"});
  }
  SECTION("its time does not go back") {
    files::ListTerms before = good_terms();
    before.made_at -= std::chrono::seconds(1);
    CHECK(refusals(build(good_parts(), before), good) == Reasons{"TRUST_LIST_UNFIT"});
  }
  SECTION("it can be read, under its own name") {
    CHECK(refusals(as_bytes("no list")) == Reasons{"FILE_MALFORMED"});
    CHECK(refusals(build(good_parts(), {ListKind::kCtl, Digest::kSha512, false, test::files_now()})) ==
          Reasons{"FILE_NAME_MISMATCH"});
  }
}

TEST_CASE("a certificate is judged for its role") {
  const auto judged = [](const std::string& name, TrustRole role, TimePoint now = test::files_now()) {
    const files::Certificate certificate = kData.certificate(name);
    return files::check_role(certificate, role, now);
  };
  CHECK(judged("sast_a", TrustRole::kSast).refusals.empty());
  CHECK(judged("sast_a", TrustRole::kSast).warnings.empty());
  CHECK(judged("sast_ec", TrustRole::kSast).status().error().reason == Reason::kCertificateRole);
  CHECK(judged("sast_3072", TrustRole::kSast).status().error().reason == Reason::kCertificateRole);
  CHECK(judged("tftp_ec", TrustRole::kTftp).refusals.empty());
  const Bytes maker = ca::split_certificates(kData.octets("../mic/root.pem"), 1).value().at(0);
  const auto of_maker =
      files::check_role(files::Certificate::read(maker).value(), TrustRole::kAppServer, test::files_now());
  CHECK_THAT(of_maker.status().error().message, Catch::Contains("a CA's alone"));
  CHECK(judged("tvs", TrustRole::kTvs, parse_rfc3339("2050-01-01T00:00:00Z").value()).status().error().reason ==
        Reason::kCertificateRole);
  CHECK_THAT(judged("capf", TrustRole::kCapf).warnings.at(0), Catch::Contains("lacks O and OU"));
  CHECK_THAT(judged("sast_4096", TrustRole::kSast).warnings.at(0), Catch::Contains("2048 bits"));
  CHECK_THAT(judged("tvs", TrustRole::kTvs, parse_rfc3339("2020-01-01T00:00:00Z").value()).warnings.at(0),
             Catch::Contains("valid only from 2026-11-"));
}
