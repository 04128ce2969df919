#include <thread>

#include <botan/auto_rng.h>
#include <botan/hmac_drbg.h>
#include <catch2/catch.hpp>
#include <openssl/x509v3.h>

#include "capf/ca/issuer.h"
#include "capf/ca/openssl.h"
#include "capf/ca/profile.h"
#include "capf/ca/request.h"
#include "tests/support/crl.h"

using namespace capf;
using namespace capf::test;

namespace {

/// A generator that gives the same octets in every run.
class SeededRandom {
 public:
  SeededRandom() { generator_.initialize_with(Bytes(32, 's').data(), 32); }
  operator Botan::RandomNumberGenerator&() { return generator_; }

 private:
  Botan::HMAC_DRBG generator_{"SHA-256"};
};

IssuerRecord record(const std::string& path) {
  IssuerRecord made = crl_issuer(path);
  made.shards = 4;
  return made;
}

std::unique_ptr<ca::Issuer> issuer(const std::string& certificate = "authority/self.pem",
                                   const std::string& key = "rsa-2048") {
  return ca::Issuer::make(record(certificate), read_key(key), "http://capf.example.com:3807").value();
}

ca::LscRequest request(const std::string& key = "phone") {
  return {DeviceName::parse("SEP001122334455").value(),
          "CP-8861",
          "PID:CP-8861 SN:FCH18198CNQ",
          read_key(key)->public_key(),
          test_now(),
          std::chrono::hours{24 * 1825},
          SubjectForm::kPlain};
}

std::string subject_of(const ca::IssuedLsc& lsc) { return ca::read_certificate(lsc.der).value().subject; }

/// openssl's judgement of the LSC, at the tests' time: X509_V_OK or an error.
int verify_in_openssl(const Bytes& der, const std::string& root, int purpose) {
  const ca::ErrorQueue errors;
  const ca::X509Ptr leaf = ca::parse_x509(der);
  const ca::X509Ptr anchor = ca::parse_x509(read_der(root));
  const std::unique_ptr<X509_STORE, capf::Freed<X509_STORE_free>> store(X509_STORE_new());
  X509_STORE_add_cert(store.get(), anchor.get());
  const std::unique_ptr<X509_STORE_CTX, capf::Freed<X509_STORE_CTX_free>> context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), nullptr);
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(parameters,
                             std::chrono::system_clock::to_time_t(
                                 std::chrono::time_point_cast<std::chrono::system_clock::duration>(test_now())));
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
  X509_VERIFY_PARAM_set_purpose(parameters, purpose);
  X509_VERIFY_PARAM_set_auth_level(parameters, 2);
  X509_verify_cert(context.get());
  return X509_STORE_CTX_get_error(context.get());
}

/// The text that openssl makes of an extension.
std::string extension_text(const Bytes& der, int nid) {
  const ca::X509Ptr certificate = ca::parse_x509(der);
  const int at = X509_get_ext_by_NID(certificate.get(), nid, -1);
  if (at < 0) return "absent";
  X509_EXTENSION* extension = X509_get_ext(certificate.get(), at);
  const ca::BioPtr out(BIO_new(BIO_s_mem()));
  X509V3_EXT_print(out.get(), extension, 0, 0);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return (X509_EXTENSION_get_critical(extension) == 1 ? "critical: " : "") +
         std::string(text, static_cast<std::size_t>(size));
}

}  // namespace

TEST_CASE("the same clock and seed give the same certificate, octet for octet") {
  SeededRandom random;
  const auto plain = value_of(issuer()->issue(request(), random));
  CHECK(ca::to_pem(plain.der) == as_text(read_data("golden/lsc_plain.pem")));
  ca::LscRequest cisco = request();
  cisco.form = SubjectForm::kCisco;
  CHECK(ca::to_pem(value_of(issuer()->issue(cisco, random)).der) == as_text(read_data("golden/lsc_cisco.pem")));
}

TEST_CASE("openssl reads an LSC as the profile has it") {
  Botan::AutoSeeded_RNG random;
  const auto lsc = value_of(issuer()->issue(request(), random));
  CHECK(extension_text(lsc.der, NID_key_usage) == "critical: Digital Signature, Key Encipherment");
  CHECK(extension_text(lsc.der, NID_basic_constraints) == "critical: CA:FALSE");
  CHECK(extension_text(lsc.der, NID_ext_key_usage) ==
        "TLS Web Server Authentication, TLS Web Client Authentication, IPSec End System");
  const std::string shard = std::to_string(lsc.shard);
  CHECK_THAT(extension_text(lsc.der, NID_crl_distribution_points),
             Catch::Contains("URI:http://capf.example.com:3807/crl/3/" + shard + ".crl"));
  CHECK_THAT(extension_text(lsc.der, NID_info_access),
             Catch::Contains("OCSP - URI:http://capf.example.com:3807/ocsp") &&
                 Catch::Contains("CA Issuers - URI:http://capf.example.com:3807/ca/3.cer"));
  const ca::X509Ptr parsed = ca::parse_x509(lsc.der);
  const ca::X509Ptr above = ca::parse_x509(read_der("authority/self.pem"));
  CHECK(X509_check_issued(above.get(), parsed.get()) == X509_V_OK);
  CHECK(ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(parsed.get()), X509_get0_subject_key_id(above.get())) == 0);
  CHECK(X509_get0_subject_key_id(parsed.get()) != nullptr);
  CHECK(X509_get_version(parsed.get()) == X509_VERSION_3);
  CHECK(X509_get_ext_count(parsed.get()) == 7);

  CHECK(lsc.serial.size() == 16);
  CHECK((lsc.serial[0] & 0xC0) == 0x40);
  CHECK(lsc.shard >= 0);
  CHECK(lsc.shard < 4);
  CHECK(lsc.sha256 == sha256(lsc.der));
  const auto facts = ca::read_certificate(lsc.der).value();
  CHECK(facts.serial == lsc.serial);
  CHECK(facts.not_before == lsc.not_before);
  CHECK(facts.not_after == lsc.not_after);
  CHECK(facts.key.sha256 == sha256(read_key("phone")->public_key()));
}

TEST_CASE("openssl verifies LSCs of every issuer, for every key, as client and as server") {
  Botan::AutoSeeded_RNG random;
  const std::string algorithm = GENERATE("rsa-3072", "rsa-4096", "p-256", "p-384", "p-521");
  const std::string root = "authority/" + algorithm + ".pem";
  const auto authority = issuer(root, algorithm);
  for (const std::string key : {"phone", "phone-4096", "phone-p-256", "phone-p-384", "p-521"}) {
    CAPTURE(algorithm, key);
    const auto lsc = value_of(authority->issue(request(key), random));
    CHECK(verify_in_openssl(lsc.der, root, X509_PURPOSE_SSL_CLIENT) == X509_V_OK);
    CHECK(verify_in_openssl(lsc.der, root, X509_PURPOSE_SSL_SERVER) == X509_V_OK);
    CHECK(verify_in_openssl(lsc.der, "authority/self.pem", X509_PURPOSE_SSL_CLIENT) != X509_V_OK);
  }
}

TEST_CASE("the signature's hash follows the issuer's key") {
  struct Expected {
    std::string key;
    int nid;
  };
  const auto expected =
      GENERATE(Expected{"rsa-4096", NID_sha256WithRSAEncryption}, Expected{"p-256", NID_ecdsa_with_SHA256},
               Expected{"p-384", NID_ecdsa_with_SHA384}, Expected{"p-521", NID_ecdsa_with_SHA512});
  Botan::AutoSeeded_RNG random;
  const auto lsc = value_of(issuer("authority/" + expected.key + ".pem", expected.key)->issue(request(), random));
  CHECK(X509_get_signature_nid(ca::parse_x509(lsc.der).get()) == expected.nid);
}

TEST_CASE("an LSC for an EC key is for signatures and key agreement") {
  Botan::AutoSeeded_RNG random;
  CHECK(extension_text(value_of(issuer()->issue(request("phone-p-256"), random)).der, NID_key_usage) ==
        "critical: Digital Signature, Key Agreement");
}

TEST_CASE("with an EC issuer all that is signed is the same from the same seed") {
  const auto authority = issuer("authority/p-256.pem", "p-256");
  SeededRandom one;
  SeededRandom two;
  const auto first = ca::parse_x509(value_of(authority->issue(request(), one)).der);
  const auto second = ca::parse_x509(value_of(authority->issue(request(), two)).der);
  CHECK(ca::encode_der(i2d_re_X509_tbs, first.get()) == ca::encode_der(i2d_re_X509_tbs, second.get()));
}

TEST_CASE("an LSC has the device's name, and of its issuer O, OU, L, ST and C in their order") {
  Botan::AutoSeeded_RNG random;
  CHECK(subject_of(value_of(issuer()->issue(request(), random))) ==
        "CN=SEP001122334455,OU=Voice,O=Example,L=Hof,ST=Bayern,C=DE");
}

TEST_CASE("the other form has serial number and model, where the model is known") {
  Botan::AutoSeeded_RNG random;
  ca::LscRequest wanted = request();
  wanted.form = SubjectForm::kCisco;
  const auto subject = [&] { return subject_of(value_of(issuer()->issue(wanted, random))); };
  CHECK(subject() == "CN=CP-8861-SEP001122334455,OU=Voice,O=Example,C=DE,serialNumber=PID:CP-8861 SN:FCH18198CNQ");
  SECTION("without a serial number") {
    wanted.serial_number.clear();
    CHECK(subject() == "CN=CP-8861-SEP001122334455,OU=Voice,O=Example,C=DE");
  }
  SECTION("with one that cannot stand in a certificate") {
    wanted.serial_number = GENERATE(std::string(65, 'x'), std::string("a\0b", 3), std::string("\xff"));
    CHECK(subject() == "CN=CP-8861-SEP001122334455,OU=Voice,O=Example,C=DE");
  }
  SECTION("without a model") {
    wanted.model.clear();
    CHECK(subject() == "CN=SEP001122334455,OU=Voice,O=Example,L=Hof,ST=Bayern,C=DE");
  }
  SECTION("with a model that leaves no room for the name") {
    wanted.model = std::string(50, 'M');
    CHECK(subject() == "CN=SEP001122334455,OU=Voice,O=Example,L=Hof,ST=Bayern,C=DE");
  }
}

TEST_CASE("an LSC starts five minutes back, and never leaves its issuer's time") {
  Botan::AutoSeeded_RNG random;
  const auto authority = issuer();
  ca::LscRequest wanted = request();
  SECTION("within it") {
    const auto lsc = value_of(authority->issue(wanted, random));
    CHECK(lsc.not_before == test_now() - std::chrono::minutes{5});
    CHECK(lsc.not_after == test_now() + std::chrono::hours{24 * 1825});
  }
  SECTION("fractions of a second do not show") {
    wanted.now += std::chrono::microseconds{999'999};
    CHECK(value_of(authority->issue(wanted, random)).not_before == test_now() - std::chrono::minutes{5});
  }
  SECTION("near its start") {
    wanted.now = authority->record().not_before + std::chrono::minutes{1};
    CHECK(value_of(authority->issue(wanted, random)).not_before == authority->record().not_before);
  }
  SECTION("near its end") {
    wanted.now = authority->record().not_after - std::chrono::hours{24};
    CHECK(value_of(authority->issue(wanted, random)).not_after == authority->record().not_after);
  }
  SECTION("outside of it nothing is issued") {
    wanted.now = GENERATE_REF(authority->record().not_after, authority->record().not_before - std::chrono::seconds{1});
    CHECK(reason_of(authority->issue(wanted, random)) == Reason::kIssuerExpired);
  }
}

TEST_CASE("the largest LSC that the profile makes fits into phones") {
  Botan::AutoSeeded_RNG random;
  ca::LscRequest wanted = request("phone-4096");
  wanted.device = DeviceName::parse(std::string(50, 'X')).value();
  const auto authority = ca::Issuer::make(record("authority/rsa-4096.pem"), read_key("rsa-4096"),
                                          "http://" + std::string(60, 'h') + ".example.com:3807")
                             .value();
  const auto lsc = value_of(authority->issue(wanted, random));
  CHECK(lsc.der.size() <= ca::kLargestLsc);
  INFO("octets: " << lsc.der.size());
  CHECK(lsc.der.size() > 1500);
}

TEST_CASE("an LSC that phones could not hold is refused") {
  Botan::AutoSeeded_RNG random;
  const auto authority =
      ca::Issuer::make(record("authority/rsa-4096.pem"), read_key("rsa-4096"), "http://" + std::string(190, 'h'))
          .value();
  CHECK(reason_of(authority->issue(request("phone-4096"), random)) == Reason::kCertificateTooLarge);
}

TEST_CASE("threads share an issuer") {
  const std::string algorithm = GENERATE("rsa-3072", "p-384");
  const auto authority = issuer("authority/" + algorithm + ".pem", algorithm);
  const ca::LscRequest wanted = request();
  std::vector<int> good(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < good.size(); ++t) {
    threads.emplace_back([&, t] {
      Botan::AutoSeeded_RNG random;
      for (int i = 0; i < 20; ++i) good[t] += authority->issue(wanted, random) ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good == std::vector<int>(4, 20));
}

TEST_CASE("nothing of the request is in the LSC but the key") {
  Botan::AutoSeeded_RNG random;
  const auto key = ca::read_request(read_data("requests/wants_ca.der")).value();
  ca::LscRequest wanted = request();
  wanted.public_key = key.public_key;
  const auto lsc = value_of(issuer()->issue(wanted, random));
  CHECK(extension_text(lsc.der, NID_basic_constraints) == "critical: CA:FALSE");
}

TEST_CASE("an issuer is made of a CA certificate and its own key") {
  const auto reason = [](IssuerRecord made, const std::string& key, const std::string& url) {
    return reason_of(ca::Issuer::make(std::move(made), read_key(key), url));
  };
  const std::string url = "http://capf.example.com:3807/";
  CHECK(ca::Issuer::make(record("authority/self.pem"), read_key("rsa-2048"), url));
  CHECK(reason(record("authority/self.pem"), "rsa-3072", url) == Reason::kInvalidConfiguration);
  CHECK(reason(record("mic/good.pem"), "phone", url) == Reason::kInvalidConfiguration);
  CHECK(reason(record("authority/self.pem"), "rsa-2048", "") == Reason::kInvalidConfiguration);
  IssuerRecord broken = record("authority/self.pem");
  broken.der.pop_back();
  CHECK(reason(broken, "rsa-2048", url) == Reason::kInvalidConfiguration);
}

TEST_CASE("an intermediate gives its chain along") {
  IssuerRecord made = record("authority/capf.pem");
  const Bytes policy = read_der("authority/policy.pem");
  const Bytes root = read_der("authority/root.pem");
  made.chain_der = policy;
  made.chain_der.insert(made.chain_der.end(), root.begin(), root.end());
  const auto authority = ca::Issuer::make(made, read_key("rsa-2048"), "http://capf.example.com").value();
  CHECK(authority->chain() == std::vector{read_der("authority/capf.pem"), policy, root});
}
