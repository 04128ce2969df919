#include <botan/auto_rng.h>
#include <botan/pkcs10.h>
#include <botan/system_rng.h>
#include <catch2/catch.hpp>
#include <openssl/x509v3.h>

#include "capf/ca/issuer.h"
#include "capf/ca/ocsp.h"
#include "capf/ca/openssl.h"
#include "capf/ca/site.h"
#include "tests/support/data.h"

using namespace capf;
using namespace capf::test;

namespace {

struct Bench {
  Botan::AutoSeeded_RNG random;
  ca::AuthorityRequest request{"CN=CAPF-1A2B3C4D,O=Example,C=DE", test_now(), std::chrono::hours{24 * 3650}};
};

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

bool is_signed_by(const Bytes& der, const Bytes& issuer) {
  const ca::ErrorQueue errors;
  const ca::X509Ptr above = ca::parse_x509(issuer);
  const ca::X509Ptr certificate = ca::parse_x509(der);
  return X509_NAME_cmp(X509_get_subject_name(above.get()), X509_get_issuer_name(certificate.get())) == 0 &&
         X509_verify(certificate.get(), X509_get0_pubkey(above.get())) == 1;
}

}  // namespace

TEST_CASE("a CAPF certificate is a CA that signs LSCs and CRLs, and has none below it") {
  Bench bench;
  const std::string algorithm = GENERATE("rsa-2048", "rsa-4096", "p-256", "p-384");
  const auto key = read_key(algorithm);
  const Bytes der = ca::make_capf_certificate(*key, bench.request, bench.random).value();
  CHECK(extension_text(der, NID_basic_constraints) == "critical: CA:TRUE, pathlen:0");
  CHECK(extension_text(der, NID_key_usage) == "critical: Digital Signature, Certificate Sign, CRL Sign");
  CHECK(extension_text(der, NID_subject_key_identifier) != "absent");
  CHECK(extension_text(der, NID_authority_key_identifier) != "absent");
  CHECK(extension_text(der, NID_ext_key_usage) == "absent");
  CHECK(is_signed_by(der, der));
  const auto facts = ca::read_certificate(der).value();
  CHECK(facts.subject == "CN=CAPF-1A2B3C4D,O=Example,C=DE");
  CHECK(facts.issuer == facts.subject);
  CHECK(facts.not_before == test_now() - std::chrono::minutes{5});
  CHECK(facts.not_after == test_now() + std::chrono::hours{24 * 3650});
  CHECK(
      ca::check_capf_certificate({read_key(algorithm), der, {}}, SubjectForm::kPlain, test_now(), Botan::system_rng()));
}

TEST_CASE("without a subject a CAPF certificate is called CAPF and eight digits") {
  Bench bench;
  bench.request.subject.clear();
  const Bytes der = ca::make_capf_certificate(*read_key("p-256"), bench.request, bench.random).value();
  const std::string subject = ca::read_certificate(der).value().subject;
  CHECK(subject.size() == std::string("CN=CAPF-00000000,O=CAPF").size());
  CHECK_THAT(subject, Catch::Matchers::Matches("CN=CAPF-[0-9A-F]{8},O=CAPF"));
}

TEST_CASE("a subject that cannot be written is refused") {
  for (const std::string bad : {"", "CAPF", "CN=", "CN=a,CN=b", "CN=a,", "CN=a,X=b", "C=D", "C=de", "CN=a\\",
                                "CN=\"a\"", "CN=a+O=b", "CN=\xff", "CN=a\nb", "DC=example", "O=a,O=b"}) {
    CAPTURE(bad);
    CHECK(reason_of(ca::check_subject(bad)) == Reason::kInvalidConfiguration);
  }
  CHECK(reason_of(ca::check_subject("CN=" + std::string(65, 'x'))) == Reason::kInvalidConfiguration);
  CHECK(ca::check_subject("CN=a,OU=b,OU=c,O=d,L=e,ST=f,C=DE"));
}

TEST_CASE("a validity that makes no sense is refused") {
  Bench bench;
  bench.request.validity = GENERATE(std::chrono::hours{0}, std::chrono::hours{-1}, std::chrono::hours{24 * 36501});
  CHECK(reason_of(ca::make_capf_certificate(*read_key("p-256"), bench.request, bench.random)) ==
        Reason::kInvalidConfiguration);
}

TEST_CASE("an imported authority that will do is taken") {
  const ca::ImportedAuthority whole{read_key("rsa-2048"),
                                    read_der("authority/capf.pem"),
                                    {read_der("authority/policy.pem"), read_der("authority/root.pem")}};
  CHECK(ca::check_capf_certificate(whole, SubjectForm::kPlain, test_now(), Botan::system_rng()));
  CHECK(ca::check_capf_certificate({read_key("rsa-2048"), read_der("authority/self.pem"), {}}, SubjectForm::kPlain,
                                   test_now(), Botan::system_rng()));
}

TEST_CASE("an imported authority that will not do is refused, and the words say why") {
  ca::ImportedAuthority authority{read_key("rsa-2048"),
                                  read_der("authority/capf.pem"),
                                  {read_der("authority/policy.pem"), read_der("authority/root.pem")}};
  TimePoint now = test_now();
  std::string words;
  SECTION("its chain is not whole") {
    authority.chain.pop_back();
    words = "does not end";
  }
  SECTION("its chain has another root") {
    authority.chain.back() = read_der("authority/rsa-4096.pem");
    words = "signature";
  }
  SECTION("its chain is signed with SHA-1") {
    authority.chain.front() = read_der("authority/sha1_policy.pem");
    words = "SHA-1";
  }
  SECTION("it could not revoke") {
    authority.certificate = read_der("authority/no_crl_sign.pem");
    authority.chain.clear();
    words = "cRLSign";
  }
  SECTION("it is no CA") {
    authority.key = read_key("phone");
    authority.certificate = read_der("mic/good.pem");
    authority.chain = {read_der("mic/sub.pem"), read_der("mic/root.pem")};
    words = "CA";
  }
  SECTION("it has expired") {
    now = parse_rfc3339("2046-01-01").value();
    words = "expired";
  }
  SECTION("it is not valid yet") {
    now = parse_rfc3339("2024-01-01").value();
    words = "not valid yet";
  }
  SECTION("the key is another") {
    authority.key = read_key("phone");
    words = "key";
  }
  SECTION("a CA above it allows no CA below") {
    authority.key = read_key("p-256");
    authority.certificate = read_der("mic/sub_sub.pem");
    authority.chain = {read_der("mic/sub.pem"), read_der("mic/root.pem")};
    words = "below";
  }
  const Status status = ca::check_capf_certificate(authority, SubjectForm::kPlain, now, Botan::system_rng());
  REQUIRE(reason_of(status) == Reason::kInvalidCertificate);
  CHECK_THAT(status.error().message, Catch::Contains(words));
}

TEST_CASE("the site CA signs servers and administrators") {
  Bench bench;
  bench.request.subject.clear();
  const auto key = read_key("p-256");
  const Bytes site_ca = ca::make_site_ca(*key, bench.request, bench.random).value();
  CHECK(extension_text(site_ca, NID_basic_constraints) == "critical: CA:TRUE, pathlen:0");
  CHECK(extension_text(site_ca, NID_key_usage) == "critical: Certificate Sign, CRL Sign");
  const ca::SiteAuthority authority{*key, site_ca};
  const Bytes public_key = read_key("p-384")->public_key();
  const std::chrono::hours year{24 * 365};

  SECTION("a server") {
    const Bytes der = ca::make_server_certificate(authority, public_key,
                                                  {"capf.example.com", "127.0.0.1", "::1", "localhost", "localhost"},
                                                  test_now(), year, bench.random)
                          .value();
    CHECK(is_signed_by(der, site_ca));
    CHECK(extension_text(der, NID_ext_key_usage) == "TLS Web Server Authentication");
    CHECK(extension_text(der, NID_basic_constraints) == "critical: CA:FALSE");
    CHECK(extension_text(der, NID_subject_alt_name) ==
          "DNS:capf.example.com, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:localhost");
    CHECK(ca::read_certificate(der).value().subject == "CN=capf.example.com,OU=Servers");
  }
  SECTION("an administrator") {
    const Bytes der =
        ca::make_administrator_certificate(authority, public_key, "admin", test_now(), year, bench.random).value();
    CHECK(is_signed_by(der, site_ca));
    CHECK(extension_text(der, NID_ext_key_usage) == "TLS Web Client Authentication");
    CHECK(extension_text(der, NID_key_usage) == "critical: Digital Signature");
    CHECK(ca::read_certificate(der).value().subject == "CN=admin,OU=Administrators");
  }
  SECTION("never beyond its own end") {
    const Bytes der =
        ca::make_administrator_certificate(authority, public_key, "admin", test_now(), year * 20, bench.random).value();
    CHECK(ca::read_certificate(der).value().not_after == ca::read_certificate(site_ca).value().not_after);
  }
  SECTION("not under a name that is none, for no host, or with another key") {
    CHECK(reason_of(ca::make_administrator_certificate(authority, public_key, "a,b", test_now(), year, bench.random)) ==
          Reason::kInvalidName);
    CHECK(reason_of(ca::make_server_certificate(authority, public_key, {}, test_now(), year, bench.random)) ==
          Reason::kInvalidConfiguration);
    CHECK(reason_of(ca::make_server_certificate(authority, public_key, {"a b"}, test_now(), year, bench.random)) ==
          Reason::kInvalidConfiguration);
    const auto other = read_key("p-384");
    CHECK(reason_of(ca::make_server_certificate({*other, site_ca}, public_key, {"a"}, test_now(), year,
                                                bench.random)) == Reason::kInvalidConfiguration);
  }
}

TEST_CASE("a site CA that is made again vouches for what the former one signed, and the other way round") {
  Bench bench;
  const auto key = read_key("p-256");
  bench.request.subject = "CN=CAPF site CA,O=CAPF";
  const Bytes former = ca::make_site_ca(*key, bench.request, bench.random).value();
  const auto facts = ca::read_certificate(former).value();
  const ca::AuthorityRequest again{facts.subject, test_now() + std::chrono::hours{24 * 3000}, bench.request.validity};
  const Bytes renewed = ca::make_site_ca(*key, again, bench.random).value();
  CHECK(ca::read_certificate(renewed).value().serial != facts.serial);
  CHECK(ca::read_certificate(renewed).value().not_after > facts.not_after);
  // Go and Java compare names octet by octet.
  CHECK(ca::parse_botan(renewed).raw_subject_dn() == ca::parse_botan(former).raw_subject_dn());
  CHECK(extension_text(renewed, NID_subject_key_identifier) == extension_text(former, NID_subject_key_identifier));
  const auto server_key = read_key("phone")->public_key();
  const std::chrono::hours year{24 * 365};
  const Bytes early =
      ca::make_server_certificate({*key, former}, server_key, {"a"}, test_now(), year, bench.random).value();
  const Bytes late =
      ca::make_server_certificate({*key, renewed}, server_key, {"a"}, again.now, year, bench.random).value();
  for (const Bytes& authority : {former, renewed}) {
    CHECK(is_signed_by(early, authority));
    CHECK(is_signed_by(late, authority));
  }
}

TEST_CASE("the wire listener's certificate is self-signed and no CA") {
  Bench bench;
  bench.request.subject.clear();
  const Bytes der = ca::make_wire_certificate(*read_key("rsa-2048"), bench.request, bench.random).value();
  CHECK(is_signed_by(der, der));
  CHECK(extension_text(der, NID_basic_constraints) == "critical: CA:FALSE");
  CHECK(extension_text(der, NID_key_usage) == "critical: Digital Signature, Key Encipherment");
  CHECK(extension_text(der, NID_ext_key_usage) == "TLS Web Server Authentication");
  CHECK_THAT(ca::read_certificate(der).value().subject, Catch::Matchers::Matches("CN=CAPF-[0-9A-F]{8},OU=CAPF,O=CAPF"));
  CHECK_FALSE(ca::check_capf_certificate({read_key("rsa-2048"), der, {}}, SubjectForm::kPlain, test_now(),
                                         Botan::system_rng()));
}

TEST_CASE("the certificate of a file server names its hosts") {
  Bench bench;
  bench.request.subject = "CN=capf.example,OU=File server,O=CAPF";
  bench.request.hosts = {"capf.example", "192.0.2.1"};
  const auto key = ca::generate_key(ca::KeyAlgorithm::kP384).value();
  const Bytes der = ca::make_wire_certificate(*key, bench.request, bench.random).value();
  CHECK(is_signed_by(der, der));
  CHECK(extension_text(der, NID_key_usage) == "critical: Digital Signature, Key Agreement");
  for (const std::string& host : bench.request.hosts) CHECK(ca::names_host(der, host));
  CHECK_FALSE(ca::names_host(der, "capf2.example"));
}

TEST_CASE("the certificate of a key that signs files is self-signed, and for nothing else") {
  Bench bench;
  bench.request.subject = "CN=capf.example,OU=List signer,O=CAPF";
  const Bytes der = ca::make_signer_certificate(*read_key("rsa-2048"), bench.request, bench.random).value();
  CHECK(is_signed_by(der, der));
  CHECK(extension_text(der, NID_basic_constraints) == "critical: CA:FALSE");
  CHECK(extension_text(der, NID_key_usage) == "critical: Digital Signature");
  CHECK(ca::read_certificate(der).value().subject == bench.request.subject);
}

TEST_CASE("a request of a port or a signer has its key and subject, and asks for no CA") {
  Bench bench;
  const bool server = GENERATE(true, false);
  const auto key = read_key("rsa-2048");
  const Bytes der = ca::make_request(*key, "CN=a,OU=b,O=c", server, bench.random).value();
  const Botan::PKCS10_Request request(der);
  CHECK(request.raw_public_key() == key->public_key());
  CHECK(request.subject_dn().get_first_attribute("X520.OrganizationalUnit") == "b");
  CHECK_FALSE(request.is_CA());
  CHECK(request.ex_constraints().size() == (server ? 1 : 0));
  CHECK_FALSE(ca::make_request(*key, "no name", server, bench.random));
}

TEST_CASE("a CAPF certificate that another CA made may end late or never") {
  const std::string year = GENERATE(as<std::string>{}, "2050", "2200", "2201", "9999");
  CAPTURE(year);
  const Bytes own = read_der("dates/capf_self_" + year + ".pem");
  const Bytes below = read_der("dates/capf_" + year + ".pem");
  CHECK(ca::check_capf_certificate({read_key("rsa-2048"), own, {}}, SubjectForm::kPlain, test_now(),
                                   Botan::system_rng()));
  CHECK(ca::check_capf_certificate({read_key("rsa-2048"), below, {read_der("dates/root_9999.pem")}},
                                   SubjectForm::kPlain, test_now(), Botan::system_rng()));
  CHECK_FALSE(ca::check_capf_certificate({read_key("rsa-2048"), below, {read_der("dates/root.pem")}},
                                         SubjectForm::kPlain, test_now(), Botan::system_rng()));

  IssuerRecord record;
  record.id = 1;
  record.der = own;
  CHECK(ca::Issuer::make(record, read_key("rsa-2048"), "http://capf.example:3807"));
  record.not_before = test_now() - std::chrono::hours{1};
  record.not_after = test_now() + std::chrono::hours{24 * 365 * 7000};
  Botan::AutoSeeded_RNG random;
  CHECK(ca::OcspSigner::make(record, *read_key("rsa-2048"), test_now(), std::chrono::hours{24}, random));
}

TEST_CASE("an issuer under constraints is taken where what it makes is good, and refused in words where not") {
  struct Row {
    std::string file;
    std::string words;  // none: it is taken
  };
  const Row row = GENERATE(values<Row>(
      {{"none", ""},
       {"permitted_own", ""},
       {"permitted_own_by_root", ""},
       {"permitted_email", ""},
       {"policies", ""},
       {"purposes_all", ""},
       {"purposes_of_root", ""},
       {"permitted_itself_alone", "an LSC under it is not allowed by the name constraints"},
       {"permitted_another", "an LSC under it is not allowed by the name constraints"},
       {"excluded_own", "an LSC under it is not allowed by the name constraints"},
       {"permitted_dns", "an LSC under it is not allowed by the name constraints"},
       {"explicit_policy", "an LSC under it has no certificate policy"},
       {"purposes_server_alone", "an LSC under it is for what the extended key usage of a CA"},
       {"purposes_without_ocsp", "an OCSP responder under it is for what the extended key usage of a CA"}}));
  CAPTURE(row.file);
  const auto authority =
      ca::import_certificates(read_data("constraints/" + row.file + ".pem"), read_key("rsa-2048")).value();
  const Status status = ca::check_capf_certificate(authority, SubjectForm::kPlain, test_now(), Botan::system_rng());
  if (row.words.empty()) {
    CHECK(status);
  } else {
    REQUIRE(reason_of(status) == Reason::kInvalidCertificate);
    CHECK_THAT(status.error().message, Catch::Contains(row.words));
  }
}

TEST_CASE("an issuer is tried with subjects in Cisco's form too where the site's LSCs have them") {
  const auto tried = [](const std::string& file) {
    const auto authority =
        ca::import_certificates(read_data("constraints/" + file + ".pem"), read_key("rsa-2048")).value();
    return ca::check_capf_certificate(authority, SubjectForm::kCisco, test_now(), Botan::system_rng());
  };
  CHECK(tried("none"));
  CHECK(tried("permitted_email"));
  // Cisco's form begins with serialNumber, so it lies below no name.
  const Status status = tried("permitted_own");
  REQUIRE(reason_of(status) == Reason::kInvalidCertificate);
  CHECK_THAT(status.error().message, Catch::Contains("in Cisco's form, is not allowed by the name constraints"));
  const Status plain = tried("permitted_another");
  REQUIRE(reason_of(plain) == Reason::kInvalidCertificate);
  CHECK_THAT(plain.error().message, !Catch::Contains("Cisco") && Catch::Contains("an LSC under it"));
}

TEST_CASE("three CAs above the CAPF are taken, and phones hear of all but the root") {
  const auto chain = ca::import_certificates(read_data("containers/three_tiers.pem"), read_key("rsa-2048")).value();
  CHECK(chain.chain.size() == 3);
  CHECK(ca::check_capf_certificate(chain, SubjectForm::kPlain, test_now(), Botan::system_rng()));
  IssuerRecord record;
  record.id = 1;
  record.der = chain.certificate;
  for (const Bytes& above : chain.chain) record.chain_der.insert(record.chain_der.end(), above.begin(), above.end());
  const auto issuer = ca::Issuer::make(record, read_key("rsa-2048"), "http://capf.example:3807").value();
  CHECK(issuer->chain() == std::vector{chain.certificate, chain.chain[0], chain.chain[1]});

  const auto longer = ca::import_certificates(read_data("containers/four_tiers.pem"), read_key("rsa-2048")).value();
  const Status status = ca::check_capf_certificate(longer, SubjectForm::kPlain, test_now(), Botan::system_rng());
  REQUIRE(reason_of(status) == Reason::kInvalidCertificate);
  CHECK_THAT(status.error().message, Catch::Contains("more than 3 CAs"));
}
