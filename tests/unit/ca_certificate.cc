#include <algorithm>

#include <catch2/catch.hpp>

#include "capf/ca/asn1.h"
#include "capf/ca/certificate.h"
#include "capf/ca/name.h"
#include "tests/support/data.h"

using namespace capf;
using namespace capf::test;

TEST_CASE("a certificate's facts are what openssl says they are") {
  const auto facts = ca::read_certificate(read_der("mic/good.pem")).value();
  CHECK(facts.subject == "CN=CP-8861-SEP001122334455,O=Maker,C=DE,serialNumber=PID:CP-8861 SN:FCH18198CNQ");
  CHECK(facts.issuer == "CN=Maker Devices,O=Maker,C=DE");
  CHECK(to_rfc3339(facts.not_before) == "2025-01-01T00:00:00Z");
  CHECK(to_rfc3339(facts.not_after) == "2045-01-01T00:00:00Z");
  CHECK(facts.sha256 == sha256(read_der("mic/good.pem")));
  CHECK(facts.key.sha256 == sha256(read_key("phone")->public_key()));
}

TEST_CASE("a certificate is described in bounded words, whoever wrote it") {
  const auto good = ca::describe_certificate(read_der("mic/good.pem"));
  CHECK(good.subject == "CN=CP-8861-SEP001122334455,O=Maker,C=DE,serialNumber=PID:CP-8861 SN:FCH18198CNQ");
  CHECK(good.issuer == "CN=Maker Devices,O=Maker,C=DE");
  CHECK(good.dates == "2025-01-01T00:00:00Z to 2045-01-01T00:00:00Z");
  CHECK(good.serial == to_hex(ca::read_certificate(read_der("mic/good.pem"))->serial));
  CHECK(good.sha256 == to_hex(sha256(read_der("mic/good.pem"))));
  CHECK(good.text() == "subject " + good.subject + ", issuer " + good.issuer + ", serial " + good.serial +
                           ", valid from " + good.dates + ", SHA-256 " + good.sha256);

  const auto wordy = ca::describe_certificate(read_der("mic/wordy.pem"));
  CHECK(wordy.subject.starts_with("CN=CP-8861-SEP001122334455,OU=Ä9öö"));
  CHECK(wordy.subject.ends_with("ö..."));  // no half of a character
  CHECK(wordy.subject.size() <= 123);
  CHECK(wordy.serial == "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f...");
  CHECK(wordy.text().size() <= 460);

  const auto garbage = ca::describe_certificate(Bytes{1, 2, 3});
  CHECK(garbage.text() ==
        "SHA-256 039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81, which cannot be read");
}

TEST_CASE("dates up to the year 9999 are read") {
  for (const std::string year : {"2050", "2200", "2201", "9999"}) {
    const Bytes der = read_der("dates/mic_" + year + ".pem");
    const auto facts = ca::read_certificate(der).value();
    CHECK(to_rfc3339(facts.not_after) == year + "-12-31T23:59:59Z");
    CHECK(facts.sha256 == sha256(der));
  }
}

TEST_CASE("dates before 1950 are refused in words") {
  Bytes der = read_der("dates/mic_9999.pem");
  const auto date = std::search(der.begin(), der.end(), std::begin("99991231"), std::end("99991231") - 1);
  REQUIRE(date != der.end());
  std::copy_n("00010101", 8, date);
  const auto facts = ca::read_certificate(der);
  REQUIRE(reason_of(facts) == Reason::kCertificateDates);
  CHECK_THAT(facts.error().message, Catch::Contains("1950"));
}

TEST_CASE("dates with fractions of a second are refused in words") {
  const auto facts = ca::read_certificate(read_der("cisco/eccroot.pem"));
  REQUIRE(reason_of(facts) == Reason::kCertificateDates);
  CHECK_THAT(facts.error().message, Catch::Contains("dates"));
}

TEST_CASE("the scan lets every real certificate through") {
  for (const std::string name : {"act2eccsudica", "act2sudica", "cap-rtp-001", "cap-rtp-002", "capf-7d7d0c0", "cmca",
                                 "cmca2", "cme-capf-server-tls", "cme-iosra-ca", "crca2048", "crca2099", "crcam1",
                                 "crcam2", "device-sudi-C9300-48P", "device-sudi-WS-X45-SUP7-E", "eccroot", "hasudi"}) {
    CAPTURE(name);
    CHECK(ca::scan_certificate(read_der("cisco/" + name + ".pem")));
  }
}

TEST_CASE("the scan refuses what a library should not see") {
  const Bytes good = read_der("mic/good.pem");
  CHECK(ca::scan_certificate(good));
  CHECK(reason_of(ca::scan_certificate(read_der("mic/p_256_explicit.pem"))) == Reason::kCertificateMalformed);
  CHECK(reason_of(ca::scan_certificate({})) == Reason::kCertificateMalformed);
  CHECK(reason_of(ca::scan_certificate(read_data("requests/rsa-2048.der"))) == Reason::kCertificateMalformed);
  Bytes longer = good;
  longer.push_back(0);
  CHECK(reason_of(ca::scan_certificate(longer)) == Reason::kCertificateMalformed);
  for (std::size_t size = 0; size < good.size(); ++size) CHECK_FALSE(ca::scan_certificate(BytesView(good).first(size)));

  Bytes large{0x30, 0x82, 0x40, 0x00};
  large.resize(large.size() + 0x4000);
  CHECK(reason_of(ca::scan_certificate(large)) == Reason::kCertificateMalformed);
}

TEST_CASE("elements within elements end at a depth that no certificate has") {
  Bytes deep;
  for (int i = 0; i < 100; ++i) {
    Bytes outer{0x30};
    if (deep.size() >= 0x80) outer.push_back(0x81);
    outer.push_back(static_cast<std::uint8_t>(deep.size()));
    outer.insert(outer.end(), deep.begin(), deep.end());
    deep = outer;
    CHECK(ca::is_one_der_element(deep) == (i < 16));
  }
}

TEST_CASE("certificates are split from PEM with text between them, and from DER") {
  const Bytes one = read_der("mic/root.pem");
  const Bytes two = read_der("mic/sub.pem");
  const std::string pem = "subject: root\n" + ca::to_pem(one) + "\n# another\r\n" + ca::to_pem(two) + "end";
  CHECK(ca::split_certificates(as_bytes(pem)).value() == std::vector{one, two});
  Bytes der = one;
  der.insert(der.end(), two.begin(), two.end());
  CHECK(ca::split_certificates(der).value() == std::vector{one, two});
  CHECK(reason_of(ca::split_certificates(der, 1)) == Reason::kInvalidCertificate);
  CHECK(reason_of(ca::split_certificates(as_bytes(pem), 1)) == Reason::kInvalidCertificate);
}

TEST_CASE("certificates are taken out of every kind of file that people have them in") {
  const Bytes self = read_der("authority/self.pem");
  const std::string one = GENERATE(as<std::string>{}, "trusted.pem", "x509_label.pem", "utf_16_little.pem",
                                   "utf_16_big.pem", "utf_16_without_mark.pem");
  CAPTURE(one);
  CHECK(ca::split_certificates(read_data("containers/" + one)).value() == std::vector<Bytes>{self});

  const std::string chain = GENERATE(as<std::string>{}, "chain.p7b", "chain_der.p7b", "chain_p7b_as_certificate.pem");
  CAPTURE(chain);
  auto found = ca::split_certificates(read_data("containers/" + chain)).value();
  std::vector wanted{read_der("authority/capf.pem"), read_der("authority/policy.pem"), read_der("authority/root.pem")};
  std::sort(found.begin(), found.end());
  std::sort(wanted.begin(), wanted.end());
  CHECK(found == wanted);
  CHECK(reason_of(ca::split_certificates(read_data("containers/" + chain), 2)) == Reason::kInvalidCertificate);
}

TEST_CASE("a file that holds something else is called by its name") {
  const auto words_for = [](BytesView file) {
    const auto found = ca::split_certificates(file);
    REQUIRE(reason_of(found) == Reason::kInvalidCertificate);
    return found.error().message;
  };
  using Catch::Contains;
  CHECK_THAT(words_for(read_data("containers/with_mac.p12")), Contains("PKCS #12") && Contains("openssl pkcs12"));
  CHECK_THAT(words_for(read_data("containers/base64.txt")), Contains("Base64") && Contains("openssl base64"));
  CHECK_THAT(words_for(read_data("containers/request.pem")), Contains("certification request"));
  CHECK_THAT(words_for(read_data("keys/rsa-2048.key")), Contains("private key"));
  CHECK_THAT(words_for(Bytes{0xFE, 0xED, 0xFE, 0xED, 0, 0, 0, 2}), Contains("keytool"));
  CHECK_THAT(words_for(as_bytes("<html>")), Contains("HTML"));
  CHECK_THAT(words_for(Bytes{}), Contains("empty"));
  CHECK_THAT(words_for(as_bytes("hello")), Contains("neither PEM nor DER"));
}

TEST_CASE("PKCS #7 that is cut short is refused wherever it is cut") {
  const Bytes whole = read_data("containers/chain_der.p7b");
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    CAPTURE(size);
    CHECK_FALSE(ca::split_certificates(BytesView(whole).first(size)));
  }
}

TEST_CASE("names are shown as people read them, whatever kind of string they are") {
  const auto subject = [](const std::string& file) {
    return ca::read_certificate(read_der("containers/" + file + ".pem")).value().subject;
  };
  CHECK(subject("name_bmp") == "CN=Zertifizierungsstelle Müller,C=DE");
  CHECK(subject("name_t61") == "CN=Zürich");
  CHECK(subject("name_utf8") == "CN=CA,O=株式会社例");
  CHECK(subject("name_dc") == "emailAddress=pki@corp.test,CN=Corp CA,DC=corp,DC=test");
  CHECK_THAT(subject("name_turned"), Catch::Matchers::StartsWith("CN=#0c"));
  CHECK_THAT(subject("name_escape"), Catch::Matchers::StartsWith("CN=#0c"));
}

TEST_CASE("what holds no certificate is refused") {
  for (const std::string bad : {"", "hello", "-----BEGIN CERTIFICATE-----\nMIIB",
                                "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----",
                                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"}) {
    CAPTURE(bad);
    CHECK(reason_of(ca::split_certificates(as_bytes(bad))) == Reason::kInvalidCertificate);
  }
}

TEST_CASE("names are shown as RFC 4514 has it, and nothing in them is hidden") {
  CHECK(ca::read_certificate(read_der("mic/two_cns.pem")).value().subject ==
        "CN=CP-8861-SEP665544332211,CN=CP-8861-SEP001122334455");
  CHECK(ca::read_certificate(read_der("mic/two_cns_one_rdn.pem")).value().subject ==
        "CN=AAAAAAAAAAAAAA+CN=CP-8861-SEP001122334455");
  CHECK(ca::read_certificate(read_der("mic/trailing_space.pem")).value().subject == "CN=CP-8861-SEP001122334455\\ ");
  const std::string nul = ca::read_certificate(read_der("mic/nul.pem")).value().subject;
  CHECK_THAT(nul, Catch::Matchers::StartsWith("CN=#0c"));
  CHECK(nul.find('\0') == std::string::npos);
}

TEST_CASE("a subject that is read is shown as it was written") {
  for (const std::string text :
       {"CN=CAPF-1A2B3C4D,O=Example,C=DE", "CN=a\\,b\\+c,OU=One,OU=Two,O=\\#x\\ ", "CN=Z\xc3\xbcrich"}) {
    CAPTURE(text);
    CHECK(ca::name_text(ca::encode_name(ca::parse_subject(text).value())) == text);
  }
  CHECK(ca::name_text(ca::encode_name(ca::parse_subject("CN=a, O=b c ,C=DE").value())) == "CN=a,O=b c,C=DE");
  CHECK(ca::name_text(ca::encode_name(ca::parse_subject("CN=Z\\C3\\BCrich").value())) == "CN=Z\xc3\xbcrich");
}
