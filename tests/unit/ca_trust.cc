#include <algorithm>

#include <catch2/catch.hpp>

#include "capf/ca/certificate.h"
#include "capf/ca/trust.h"
#include "tests/support/data.h"

using namespace capf;
using namespace capf::test;

namespace {

DeviceName device(const std::string& name = "SEP001122334455") { return DeviceName::parse(name).value(); }

TrustAnchor anchor(const std::string& path, TrustStoreName store = TrustStoreName::kMic) {
  TrustAnchor read = ca::read_anchor(read_der(path)).value();
  read.store = store;
  return read;
}

/// A store that trusts the tests' manufacturer, and a phone's certificates; each test changes one thing.
struct Case {
  std::vector<TrustAnchor> anchors{anchor("mic/root.pem"), anchor("mic/sub.pem")};
  std::string leaf = "mic/good.pem";
  std::vector<Bytes> chain;
  DeviceName name = device();
  TimePoint now = test_now();

  Result<ca::JudgedMic> judge() const {
    return ca::TrustStore::make(anchors)->judge_mic(read_der(leaf), chain, name, now);
  }
};

struct LscCase {
  std::vector<TrustAnchor> anchors{anchor("lsc/issuer.pem", TrustStoreName::kLsc)};
  std::string leaf = "lsc/good.pem";
  DeviceName name = device();

  Result<ca::JudgedLsc> judge() const {
    return ca::TrustStore::make(anchors)->judge_foreign_lsc(read_der(leaf), {}, name, test_now());
  }
};

}  // namespace

TEST_CASE("a MIC of a trusted manufacturer speaks for its device") {
  const auto mic = Case{}.judge().value();
  CHECK(mic.model == "CP-8861");
  CHECK(mic.serial_number == "PID:CP-8861 SN:FCH18198CNQ");
  CHECK_FALSE(mic.expired);
  CHECK(mic.sha256 == sha256(read_der("mic/good.pem")));
  CHECK(mic.key.sha256 == sha256(read_key("phone")->public_key()));
}

TEST_CASE("a MIC may lack every extension, or have an EC key") {
  Case subject;
  subject.leaf = GENERATE("mic/bare.pem", "mic/p_256.pem");
  CAPTURE(subject.leaf);
  CHECK(subject.judge());
}

TEST_CASE("the phone may send what stands between its MIC and the anchor") {
  Case subject;
  subject.anchors = {anchor("mic/root.pem")};
  CHECK(reason_of(subject.judge()) == Reason::kCertificateUnknownIssuer);
  subject.chain = {read_der("mic/sub.pem")};
  CHECK(subject.judge());
}

TEST_CASE("the issuer that a path lacks is found, wherever the path ends") {
  struct Expected {
    std::vector<std::string> anchors;
    std::string leaf;
    std::vector<std::string> chain;
    std::string issuer;  ///< its name; empty: nothing is found
    std::string key;     ///< the certificate that has its key, or that names it
  };
  const std::string devices = "CN=Maker Devices,O=Maker,C=DE";
  const std::string root = "CN=Maker Root,O=Maker,C=DE";
  const auto expected = GENERATE_COPY(
      Expected{{}, "mic/good.pem", {}, devices, "mic/sub.pem"},
      Expected{{}, "mic/good.pem", {"mic/sub.pem"}, root, "mic/root.pem"},
      Expected{{"mic/sub.pem"}, "mic/good.pem", {}, root, "mic/root.pem"},  // an intermediate alone is no anchor
      Expected{{}, "mic/good.pem", {"mic/sub.pem", "mic/root.pem"}, root, "mic/root.pem"},  // sent, and not trusted
      Expected{{"mic/root.pem"}, "mic/good.pem", {}, devices, "mic/sub.pem"},
      Expected{{"mic/root.pem"}, "mic/good.pem", {"mic/sub.pem"}, "", ""},
      Expected{{"mic/root.pem", "mic/sub.pem"}, "mic/forged.pem", {}, devices, ""},  // its name, and another key
      Expected{{}, "mic/bare.pem", {}, devices, ""},                                 // no key identifier
      Expected{{}, "mic/root.pem", {}, "", ""});                                     // it is its own issuer
  CAPTURE(expected.leaf, expected.anchors, expected.chain);
  std::vector<TrustAnchor> anchors;
  for (const std::string& path : expected.anchors) anchors.push_back(anchor(path));
  std::vector<Bytes> chain;
  for (const std::string& path : expected.chain) chain.push_back(read_der(path));
  const auto found = ca::TrustStore::make(anchors)->find_unknown_issuer(read_der(expected.leaf), chain);
  REQUIRE(found.has_value() == !expected.issuer.empty());
  if (!found) return;
  CHECK(found->name == expected.issuer);
  CHECK(found->sha256 == sha256(read_der(expected.leaf)));
  CHECK(found->subject == ca::read_certificate(read_der(expected.leaf))->subject);
  if (!expected.key.empty()) {
    CHECK(found->key_identifier == ca::parse_botan(read_der(expected.key)).subject_key_id());
  } else if (expected.leaf == "mic/bare.pem") {
    CHECK(found->key_identifier.empty());
  }
}

TEST_CASE("an issuer that cannot be read is none") {
  CHECK_FALSE(ca::TrustStore::make({})->find_unknown_issuer(Bytes{1, 2, 3}, {}));
  CHECK_FALSE(ca::TrustStore::make({})->find_unknown_issuer(read_der("mic/good.pem"), std::vector<Bytes>{{1, 2, 3}}));
}

TEST_CASE("an issuer whose name has another order is another one") {
  Case subject;
  subject.anchors = {anchor("mic/root.pem")};
  subject.chain = {read_der("mic/sub_other_order.pem")};
  CHECK(reason_of(subject.judge()) == Reason::kCertificateUnknownIssuer);
}

TEST_CASE("an intermediate alone anchors nothing, and what the phone sends is no anchor") {
  Case subject;
  subject.anchors = {anchor("mic/sub.pem")};
  CHECK(reason_of(subject.judge()) == Reason::kCertificateUnknownIssuer);
  subject.chain = {read_der("mic/sub.pem"), read_der("mic/root.pem")};
  CHECK(reason_of(subject.judge()) == Reason::kCertificateUnknownIssuer);
  subject.anchors = {};
  CHECK(reason_of(subject.judge()) == Reason::kCertificateUnknownIssuer);
}

TEST_CASE("an anchor of one store says nothing in the other") {
  Case mic;
  for (TrustAnchor& each : mic.anchors) each.store = TrustStoreName::kLsc;
  CHECK(reason_of(mic.judge()) == Reason::kCertificateUnknownIssuer);
  LscCase lsc;
  lsc.anchors[0].store = TrustStoreName::kMic;
  CHECK(reason_of(lsc.judge()) == Reason::kCertificateUnknownIssuer);
}

TEST_CASE("a MIC that is not quite the device's is refused") {
  Case subject;
  SECTION("almost the name") {
    subject.leaf = GENERATE("mic/prefixed.pem", "mic/longer.pem", "mic/shorter.pem", "mic/lower_case.pem",
                            "mic/trailing_space.pem");
  }
  SECTION("no name where it must be") {
    subject.leaf = GENERATE("mic/without_hyphen.pem", "mic/without_model.pem", "mic/without_cn.pem");
  }
  SECTION("a NUL inside") { subject.leaf = "mic/nul.pem"; }
  SECTION("two common names") {
    subject.leaf =
        GENERATE("mic/two_cns.pem", "mic/two_cns_other_order.pem", "mic/same_cn_twice.pem", "mic/two_cns_one_rdn.pem");
  }
  SECTION("another phone's") { subject.name = device("SEP665544332211"); }
  SECTION("a part of the name") { subject.name = device("001122334455"); }
  SECTION("another case") { subject.name = device("sep001122334455"); }
  CAPTURE(subject.leaf, subject.name.text());
  CHECK(reason_of(subject.judge()) == Reason::kCertificateNameMismatch);
}

TEST_CASE("a certificate with two names speaks for neither") {
  Case subject;
  subject.name = device("SEP665544332211");
  subject.leaf = GENERATE("mic/two_cns.pem", "mic/two_cns_other_order.pem", "mic/nul.pem");
  CHECK(reason_of(subject.judge()) == Reason::kCertificateNameMismatch);
}

TEST_CASE("a forged MIC is refused") {
  Case subject;
  SECTION("its issuer only has the right name") { subject.leaf = "mic/forged.pem"; }
  SECTION("also with the false issuer sent along") {
    subject.leaf = "mic/forged.pem";
    subject.chain = {read_der("mic/forged_sub.pem")};
  }
  SECTION("its issuer is nobody's") {
    subject.leaf = "mic/unknown_issuer.pem";
    subject.chain = {read_der("mic/stranger.pem")};
  }
  SECTION("another phone issued it") {
    subject.leaf = "mic/under_device.pem";
    subject.chain = {read_der("mic/good.pem")};
  }
  SECTION("its issuer does not say that it is a CA") {
    subject.leaf = "mic/under_unconstrained.pem";
    subject.chain = {read_der("mic/sub_unconstrained.pem")};
  }
  SECTION("its issuer has no right to issuers below it") {
    subject.leaf = "mic/below_path_length.pem";
    subject.chain = {read_der("mic/sub_sub.pem")};
  }
  CAPTURE(subject.leaf);
  CHECK(reason_of(subject.judge()) == Reason::kCertificateUnknownIssuer);
}

TEST_CASE("no MIC with a changed octet is taken") {
  const Bytes good = read_der("mic/good.pem");
  const auto store = ca::TrustStore::make(Case{}.anchors);
  for (std::size_t i = 0; i < good.size(); i += 7) {
    Bytes changed = good;
    changed[i] ^= 0x04;
    CAPTURE(i);
    CHECK_FALSE(store->judge_mic(changed, {}, device(), test_now()));
  }
}

TEST_CASE("a certificate that cannot be a MIC is refused as malformed") {
  Case subject;
  SECTION("a CA's") { subject.leaf = "mic/ca.pem"; }
  SECTION("with a critical extension that nobody knows") { subject.leaf = "mic/unknown_critical.pem"; }
  SECTION("with a usage that cannot be read, though not critical") {
    subject.leaf = GENERATE("mic/malformed_usage.pem", "mic/malformed_extended_usage.pem");
  }
  SECTION("with an issuer alike in its chain") {
    subject.leaf = "mic/under_malformed.pem";
    subject.chain = {read_der("mic/sub_malformed_names.pem")};
  }
  SECTION("with explicit curve parameters") { subject.leaf = "mic/p_256_explicit.pem"; }
  SECTION("with a chain that is too long") { subject.chain.assign(4, read_der("mic/sub.pem")); }
  SECTION("with rubbish in its chain") { subject.chain = {Bytes{0x30, 0x03, 0x02, 0x01, 0x00}}; }
  CHECK(reason_of(subject.judge()) == Reason::kCertificateMalformed);
}

TEST_CASE("a certificate without an end, or with a late one, is judged as any other") {
  Case subject;
  subject.anchors = {anchor("dates/root.pem")};
  SECTION("a MIC's") {
    subject.leaf = "dates/mic_" + GENERATE(as<std::string>{}, "2050", "2200", "2201", "9999") + ".pem";
    CAPTURE(subject.leaf);
    const auto mic = subject.judge().value();
    CHECK(mic.sha256 == sha256(read_der(subject.leaf)));
    CHECK(mic.issuers.size() == 1);
    subject.anchors = {anchor("mic/root.pem")};
    CHECK(reason_of(subject.judge()) == Reason::kCertificateUnknownIssuer);
  }
  SECTION("a MIC's, which the manufacturer's sub-CA signed") {
    subject.anchors = {anchor("mic/root.pem"), anchor("mic/sub.pem")};
    subject.leaf = "mic/never_expires.pem";
    CHECK(subject.judge().value().issuers.size() == 2);
  }
  SECTION("another site's LSC's") {
    LscCase other;
    other.anchors = {anchor("dates/root.pem", TrustStoreName::kLsc)};
    other.leaf = "dates/lsc_" + GENERATE(as<std::string>{}, "2050", "2200", "2201", "9999") + ".pem";
    CAPTURE(other.leaf);
    CHECK(other.judge());
  }
  SECTION("those of all CAs above it") {
    subject.leaf = GENERATE("dates/mic_9999_below_9999.pem", "dates/mic_2044_below_9999.pem");
    CAPTURE(subject.leaf);
    CHECK(reason_of(subject.judge()) == Reason::kCertificateUnknownIssuer);
    subject.anchors = {anchor("dates/root_9999.pem"), anchor("dates/sub_9999.pem")};
    const auto mic = subject.judge().value();
    REQUIRE(mic.issuers.size() == 2);
    CHECK(mic.issuers[0].sha256 == sha256(read_der("dates/sub_9999.pem")));
    CHECK(mic.issuers[1].sha256 == sha256(read_der("dates/root_9999.pem")));
    subject.anchors = {anchor("dates/root_9999.pem")};
    subject.chain = {read_der("dates/root_9999.pem"), read_der("dates/sub_9999.pem")};
    CHECK(subject.judge());
  }
  SECTION("that of a CA in between alone") {
    subject.leaf = "dates/mic_2044_below_9999.pem";
    subject.chain = {read_der("dates/sub_9999_under_root.pem")};
    CHECK(subject.judge());
    subject.chain.clear();
    subject.anchors.push_back(anchor("dates/sub_9999_under_root.pem"));
    CHECK(subject.judge());
  }
}

TEST_CASE("a certificate without an end is refused for whatever else is wrong with it") {
  Case subject;
  subject.anchors = {anchor("dates/root.pem")};
  subject.leaf = "dates/mic_9999.pem";
  SECTION("a signature that is forged") {
    subject.leaf = "dates/mic_9999_forged.pem";
    subject.name = device("SEP001122334457");
    CHECK(reason_of(subject.judge()) == Reason::kCertificateUnknownIssuer);
  }
  SECTION("another device's name") {
    subject.leaf = "dates/mic_9999_other_device.pem";
    CHECK(reason_of(subject.judge()) == Reason::kCertificateNameMismatch);
  }
  SECTION("a critical extension that nobody knows") {
    subject.leaf = "dates/mic_9999_unknown_critical.pem";
    CHECK(reason_of(subject.judge()) == Reason::kCertificateMalformed);
  }
  SECTION("a weak hash") {
    subject.leaf = "dates/mic_9999_sha1.pem";
    CHECK(reason_of(subject.judge()) == Reason::kCertificateWeak);
    subject.anchors[0].allow_sha1 = true;
    CHECK(subject.judge());
  }
  SECTION("an issuer that does not say that it is a CA") {
    subject.leaf = "dates/mic_9999_below_no_ca.pem";
    subject.chain = {read_der("dates/no_ca.pem")};
    CHECK(reason_of(subject.judge()) == Reason::kCertificateUnknownIssuer);
  }
  SECTION("no anchor above it") {
    subject.chain = {read_der("dates/root.pem")};
    subject.anchors = {anchor("mic/root.pem")};
    CHECK(reason_of(subject.judge()) == Reason::kCertificateUnknownIssuer);
  }
  SECTION("a beginning in the future") {
    subject.leaf = "dates/mic_from_2250.pem";
    CHECK(reason_of(subject.judge()) == Reason::kCertificateNotYetValid);
  }
  SECTION("a CA's certificate") {
    subject.leaf = "dates/mic_9999_ca.pem";
    CHECK(reason_of(subject.judge()) == Reason::kCertificateMalformed);
  }
  SECTION("an anchor's limits") {
    subject.anchors[0].models = Pattern::parse("ATA*").value();
    CHECK(reason_of(subject.judge()) == Reason::kCertificateOutsideAnchor);
  }
  SECTION("an anchor whose trust has ended") {
    subject.anchors[0].ends_at = test_now();
    CHECK(reason_of(subject.judge()) == Reason::kCertificateUnknownIssuer);
  }
  SECTION("an issuer that has expired") {
    subject.now += std::chrono::years{20};
    CHECK(reason_of(subject.judge()) == Reason::kCertificateExpired);
  }
}

TEST_CASE("a common name may be a BMPString, and must have the device's characters then too") {
  Case subject;
  subject.anchors = {anchor("containers/name_bmp.pem")};
  subject.leaf = "containers/mic_bmp.pem";
  CHECK(subject.judge().value().model == "CP-8861");
  subject.leaf = "containers/mic_bmp_other.pem";
  CHECK(reason_of(subject.judge()) == Reason::kCertificateNameMismatch);
}

TEST_CASE("a date that cannot be read is named in the refusal") {
  Case subject;
  subject.leaf = "cisco/eccroot.pem";
  const auto judged = subject.judge();
  REQUIRE(reason_of(judged) == Reason::kCertificateDates);
  CHECK_THAT(judged.error().message, Catch::Contains("dates"));
}

TEST_CASE("a path of five certificates is too long, wherever they come from") {
  Case subject;
  subject.leaf = "mic/long.pem";
  subject.anchors = {anchor("mic/long_1.pem"), anchor("mic/long_2.pem"), anchor("mic/long_3.pem"),
                     anchor("mic/long_4.pem")};
  CHECK(reason_of(subject.judge()) == Reason::kCertificateUnknownIssuer);
}

TEST_CASE("an anchor itself is no device") {
  Case subject;
  subject.leaf = "mic/root.pem";
  CHECK_FALSE(subject.judge());
}

TEST_CASE("a MIC counts within its time") {
  Case subject;
  SECTION("expired") {
    subject.leaf = "mic/expired.pem";
    CHECK(reason_of(subject.judge()) == Reason::kCertificateExpired);
  }
  SECTION("not yet valid") {
    subject.leaf = "mic/not_yet_valid.pem";
    CHECK(reason_of(subject.judge()) == Reason::kCertificateNotYetValid);
  }
  SECTION("its issuer has expired") {
    subject.leaf = "mic/under_expired.pem";
    subject.anchors.push_back(anchor("mic/sub_expired.pem"));
    CHECK(reason_of(subject.judge()) == Reason::kCertificateExpired);
  }
  SECTION("at its last second, and after it") {
    subject.leaf = "mic/expired.pem";
    subject.now = parse_rfc3339("2025-06-01T00:00:00Z").value();
    CHECK(subject.judge());
    subject.now += std::chrono::seconds{1};
    CHECK(reason_of(subject.judge()) == Reason::kCertificateExpired);
  }
}

TEST_CASE("an expired MIC counts where every anchor of its path lets it, and only until then") {
  Case subject;
  subject.leaf = "mic/expired.pem";
  for (TrustAnchor& each : subject.anchors) each.allow_expired_until = test_now() + std::chrono::hours{1};
  SECTION("it is taken, and said to be expired") {
    CHECK(subject.judge().value().expired);
    subject.leaf = "mic/good.pem";
    CHECK_FALSE(subject.judge().value().expired);
  }
  SECTION("not with one anchor that does not let it") {
    subject.anchors[GENERATE(0U, 1U)].allow_expired_until.reset();
    CHECK(reason_of(subject.judge()) == Reason::kCertificateExpired);
  }
  SECTION("not after the date") {
    subject.anchors[GENERATE(0U, 1U)].allow_expired_until = test_now();
    CHECK(reason_of(subject.judge()) == Reason::kCertificateExpired);
  }
  SECTION("it excuses nothing else") {
    subject.leaf = GENERATE("mic/forged.pem", "mic/not_yet_valid.pem", "mic/sha1.pem", "mic/longer.pem");
    CHECK_FALSE(subject.judge());
  }
  SECTION("it does not excuse an expired issuer") {
    subject.leaf = "mic/under_expired.pem";
    TrustAnchor expired = anchor("mic/sub_expired.pem");
    expired.allow_expired_until = test_now() + std::chrono::hours{1};
    subject.anchors.push_back(expired);
    CHECK(reason_of(subject.judge()) == Reason::kCertificateExpired);
  }
}

TEST_CASE("weak MICs count only where every anchor of their path allows them") {
  Case subject;
  SECTION("SHA-1") {
    subject.leaf = "mic/sha1.pem";
    CHECK(reason_of(subject.judge()) == Reason::kCertificateWeak);
    subject.anchors[0].allow_sha1 = true;
    CHECK(reason_of(subject.judge()) == Reason::kCertificateWeak);
    subject.anchors[1].allow_sha1 = true;
    CHECK(subject.judge());
  }
  SECTION("RSA of 1024 bits") {
    subject.leaf = "mic/rsa_1024.pem";
    CHECK(reason_of(subject.judge()) == Reason::kCertificateWeak);
    subject.anchors[0].min_rsa_bits = 1024;
    CHECK(reason_of(subject.judge()) == Reason::kCertificateWeak);
    subject.anchors[1].min_rsa_bits = 1024;
    CHECK(subject.judge());
  }
  SECTION("MD5 never") {
    subject.leaf = "mic/md5.pem";
    for (TrustAnchor& each : subject.anchors) each.allow_sha1 = true;
    CHECK(reason_of(subject.judge()) == Reason::kCertificateWeak);
  }
  SECTION("an old manufacturer's whole chain") {
    subject.leaf = "mic/old.pem";
    subject.anchors = {anchor("mic/old_root.pem")};
    CHECK(reason_of(subject.judge()) == Reason::kCertificateWeak);
    subject.anchors[0].allow_sha1 = true;
    CHECK(reason_of(subject.judge()) == Reason::kCertificateWeak);
    subject.anchors[0].min_rsa_bits = 1024;
    CHECK(subject.judge());
  }
}

TEST_CASE("an anchor speaks for its devices and models, and until its end") {
  Case subject;
  TrustAnchor& one = subject.anchors[GENERATE(0U, 1U)];
  SECTION("devices") {
    one.devices = Pattern::parse("SEP0011*").value();
    CHECK(subject.judge());
    one.devices = Pattern::parse("SEP0022*").value();
    CHECK(reason_of(subject.judge()) == Reason::kCertificateOutsideAnchor);
  }
  SECTION("models") {
    one.models = Pattern::parse("CP-88*").value();
    CHECK(subject.judge());
    subject.leaf = "mic/other_model.pem";
    CHECK(reason_of(subject.judge()) == Reason::kCertificateOutsideAnchor);
  }
  SECTION("end") {
    one.ends_at = test_now() + std::chrono::seconds{1};
    CHECK(subject.judge());
    one.ends_at = test_now();
    CHECK(reason_of(subject.judge()) == Reason::kCertificateUnknownIssuer);
  }
}

TEST_CASE("a judgement is the same until it says, and another one a moment later") {
  Case subject;
  SECTION("the certificates of the path expire") {}
  SECTION("the trust in one of its anchors ends") {
    subject.anchors[GENERATE(0U, 1U)].ends_at = test_now() + std::chrono::hours{3};
    CHECK(subject.judge().value().holds_until == test_now() + std::chrono::hours{3} - Duration{1});
  }
  SECTION("the leave for an expired MIC ends") {
    subject.leaf = "mic/expired.pem";
    subject.anchors[0].allow_expired_until = test_now() + std::chrono::hours{5};
    subject.anchors[1].allow_expired_until = test_now() + std::chrono::hours{4};
    CHECK(subject.judge().value().holds_until == test_now() + std::chrono::hours{4} - Duration{1});
  }
  subject.now = subject.judge().value().holds_until;
  CHECK(subject.judge());
  subject.now += Duration{1};
  CHECK_FALSE(subject.judge());
}

TEST_CASE("another site's LSC speaks for its device") {
  LscCase subject;
  const auto lsc = subject.judge().value();
  CHECK(lsc.sha256 == sha256(read_der("lsc/good.pem")));
  CHECK(lsc.key.sha256 == sha256(read_key("phone")->public_key()));
  subject.leaf = "lsc/with_model.pem";
  CHECK(subject.judge());
  subject.anchors[0].ends_at = test_now() + std::chrono::hours{3};
  CHECK(subject.judge().value().holds_until == test_now() + std::chrono::hours{3} - Duration{1});
}

TEST_CASE("another site's LSC is refused where it is not the device's, or not in time") {
  LscCase subject;
  SECTION("a longer name") {
    subject.leaf = "lsc/prefixed.pem";
    CHECK(reason_of(subject.judge()) == Reason::kCertificateNameMismatch);
  }
  SECTION("the end of the name") {
    subject.name = device("001122334455");
    CHECK(reason_of(subject.judge()) == Reason::kCertificateNameMismatch);
  }
  SECTION("expired, whatever the anchor says") {
    subject.leaf = "lsc/expired.pem";
    subject.anchors[0].allow_expired_until = test_now() + std::chrono::hours{1};
    CHECK(reason_of(subject.judge()) == Reason::kCertificateExpired);
  }
  SECTION("outside its anchor's devices") {
    subject.anchors[0].devices = Pattern::parse("ATA*").value();
    CHECK(reason_of(subject.judge()) == Reason::kCertificateOutsideAnchor);
  }
  SECTION("its anchor's time is over") {
    subject.anchors[0].ends_at = test_now();
    CHECK(reason_of(subject.judge()) == Reason::kCertificateUnknownIssuer);
  }
  SECTION("a MIC is none") {
    subject.leaf = "mic/good.pem";
    CHECK(reason_of(subject.judge()) == Reason::kCertificateUnknownIssuer);
  }
}

TEST_CASE("an anchor is read with what the records need") {
  const TrustAnchor read = anchor("mic/sub.pem");
  CHECK(read.subject == "CN=Maker Devices,O=Maker,C=DE");
  CHECK(read.sha256 == sha256(read.der));
  CHECK(to_rfc3339(read.not_before) == "2025-01-01T00:00:00Z");
  CHECK(to_rfc3339(read.not_after) == "2045-01-01T00:00:00Z");
}

TEST_CASE("what is no CA certificate is no anchor, and the words say why") {
  const auto message = [](const std::string& path) {
    const auto read = ca::read_anchor(read_der(path));
    REQUIRE(reason_of(read) == Reason::kInvalidCertificate);
    return read.error().message;
  };
  using Catch::Contains;
  CHECK_THAT(message("mic/good.pem"), Contains("CA:FALSE"));
  CHECK_THAT(message("mic/bare.pem"), Contains("basicConstraints"));
  CHECK_THAT(message("mic/sub_unconstrained.pem"), Contains("basicConstraints"));
  CHECK_THAT(message("mic/no_cert_sign.pem"), Contains("keyCertSign"));
  CHECK_THAT(message("mic/sub_malformed_usage.pem"), Contains("cannot be read"));
  CHECK_THAT(message("mic/sub_malformed_names.pem"), Contains("cannot be read"));
  CHECK(reason_of(ca::read_anchor(as_bytes("hello"))) == Reason::kInvalidCertificate);
}

TEST_CASE("what other software could not read is no anchor") {
  Bytes der = read_der("mic/sub.pem");
  const Bytes country{0x06, 0x03, 0x55, 0x04, 0x06};
  const auto at = std::find_end(der.begin(), der.end(), country.begin(), country.end());  // the subject's
  REQUIRE(at != der.end());
  at[2] = 0x80;  // X.690 8.19.2: no number begins with it
  const auto read = ca::read_anchor(der);
  REQUIRE(reason_of(read) == Reason::kInvalidCertificate);
  // Botan 3 is one of these.
  CHECK_THAT(read.error().message,
             Catch::Contains("other software") || Catch::Contains("the certificate cannot be read"));
}

TEST_CASE("a certificate whose two names of its signature's algorithm differ is none") {
  const auto without_null = [](const std::string& name) {
    Bytes der = read_der(name);
    const Bytes sha256_rsa{0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B, 0x05, 0x00};
    const auto outer = std::find_end(der.begin(), der.end(), sha256_rsa.begin(), sha256_rsa.end());
    REQUIRE(outer != der.end());
    outer[1] -= 2;
    der.erase(outer + 13, outer + 15);
    REQUIRE(der[1] == 0x82);
    const int length = der[2] << 8 | der[3];
    der[2] = static_cast<std::uint8_t>((length - 2) >> 8);
    der[3] = static_cast<std::uint8_t>(length - 2);
    return der;
  };
  const auto read = ca::read_anchor(without_null("mic/sub.pem"));
  REQUIRE(reason_of(read) == Reason::kInvalidCertificate);
  CHECK_THAT(read.error().message, Catch::Contains("two algorithms"));
  const auto trust = ca::TrustStore::make({anchor("mic/root.pem"), anchor("mic/sub.pem")});
  REQUIRE(trust->judge_mic(read_der("mic/good.pem"), {}, device(), test_now()));
  CHECK(reason_of(trust->judge_mic(without_null("mic/good.pem"), {}, device(), test_now())) ==
        Reason::kCertificateMalformed);
}

TEST_CASE("the manufacturer's own CA certificates can be imported") {
  const std::string name = GENERATE("crca2048", "cmca", "act2sudica", "crcam1", "crcam2", "cmca2", "crca2099", "hasudi",
                                    "cap-rtp-001", "cap-rtp-002");
  CAPTURE(name);
  CHECK(ca::read_anchor(read_der("cisco/" + name + ".pem")));
}

TEST_CASE("the manufacturer's other certificates are refused, and the words say why") {
  struct Expected {
    std::string name;
    std::string words;
  };
  const auto expected = GENERATE(
      Expected{"device-sudi-WS-X45-SUP7-E", "basicConstraints"}, Expected{"device-sudi-C9300-48P", "CA:FALSE"},
      Expected{"capf-7d7d0c0", "basicConstraints"}, Expected{"cme-iosra-ca", "MD5"},
      Expected{"cme-capf-server-tls", "MD5"}, Expected{"eccroot", "dates"}, Expected{"act2eccsudica", "dates"});
  CAPTURE(expected.name);
  const auto read = ca::read_anchor(read_der("cisco/" + expected.name + ".pem"));
  REQUIRE(reason_of(read) == Reason::kInvalidCertificate);
  CHECK_THAT(read.error().message, Catch::Contains(expected.words));
}

TEST_CASE("a real device certificate is judged by its real chain") {
  struct Expected {
    std::string leaf;
    std::string sub;
    std::string device;
    std::string model;
    std::string serial_number;
  };
  const auto expected =
      GENERATE(Expected{"device-sudi-WS-X45-SUP7-E", "cmca", "002584b27512", "WS-X45-SUP7-E",
                        "PID:WS-X45-SUP7-E SN:CAT1617L5SX"},
               Expected{"device-sudi-C9300-48P", "act2sudica", "48P", "C9300", "PID:C9300-48P SN:FCW2214G0QE"});
  CAPTURE(expected.leaf);
  Case subject;
  subject.anchors = {anchor("cisco/crca2048.pem"), anchor("cisco/" + expected.sub + ".pem")};
  subject.leaf = "cisco/" + expected.leaf + ".pem";
  subject.name = device(expected.device);
  subject.now = parse_rfc3339("2020-01-01T00:00:00Z").value();
  CHECK(reason_of(subject.judge()) == Reason::kCertificateWeak);
  for (TrustAnchor& each : subject.anchors) each.allow_sha1 = true;
  const auto mic = subject.judge().value();
  CHECK(mic.model == expected.model);
  CHECK(mic.serial_number == expected.serial_number);
  subject.now = parse_rfc3339("2029-05-15T00:00:00Z").value();
  CHECK(reason_of(subject.judge()) == Reason::kCertificateExpired);
}
