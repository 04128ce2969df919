#include <catch2/catch.hpp>
#include <openssl/x509v3.h>

#include "capf/ca/crl.h"
#include "capf/ca/openssl.h"
#include "tests/support/crl.h"
#include "tests/support/folder.h"

using namespace capf;
using namespace capf::test;

namespace {

using CrlPtr = std::unique_ptr<X509_CRL, capf::Freed<X509_CRL_free>>;

CrlPtr parse(const Bytes& der) {
  const unsigned char* at = der.data();
  CrlPtr crl(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
  REQUIRE(crl);
  REQUIRE(at == der.data() + der.size());
  return crl;
}

std::string text_of(const Bytes& der) {
  const ca::BioPtr out(BIO_new(BIO_s_mem()));
  X509_CRL_print(out.get(), parse(der).get());
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

/// The reason of the error that ends the reading of the whole file; nothing where there is none.
std::optional<Reason> fault_of(const std::filesystem::path& path, const IssuerRecord& issuer = crl_issuer()) {
  auto reader = ca::CrlReader::open(path);
  if (!reader) return reader.error().reason;
  for (;;) {
    const auto entry = reader->next();
    if (!entry) return entry.error().reason;
    if (!*entry) break;
  }
  const Status checked = reader->check_issuer(issuer);
  return checked ? std::nullopt : std::optional(checked.error().reason);
}

const std::vector<Revocation> kEntries{revocation(1, RevocationReason::kKeyCompromise),
                                       revocation(2, RevocationReason::kUnspecified),
                                       revocation(3, RevocationReason::kCertificateHold, "2049-12-31T23:59:59Z"),
                                       revocation(4, RevocationReason::kSuperseded, "2050-01-01T00:00:00Z")};

}  // namespace

TEST_CASE("the same clock gives the same CRL, octet for octet") {
  const Folder folder;
  REQUIRE(write_crl(folder.path() / "0.crl", kEntries));
  CHECK(to_hex(file_bytes(folder.path() / "0.crl")) == to_hex(read_data("golden/crl.der")));
}

TEST_CASE("openssl reads a CRL as it was meant") {
  const Folder folder;
  const auto path = folder.path() / "0.crl";
  const std::string certificate = GENERATE("self", "p-256", "p-384", "p-521", "rsa-3072");
  CAPTURE(certificate);
  const IssuerRecord issuer = crl_issuer("authority/" + certificate + ".pem");
  REQUIRE(write_crl(path, kEntries, crl_terms(), issuer, certificate == "self" ? "rsa-2048" : certificate));
  CHECK_FALSE(fault_of(path, issuer));
  const Bytes der = file_bytes(path);
  const CrlPtr crl = parse(der);
  const ca::X509Ptr above = ca::parse_x509(issuer.der);
  CHECK(X509_CRL_verify(crl.get(), X509_get0_pubkey(above.get())) == 1);
  CHECK(X509_CRL_get_version(crl.get()) == 1);
  CHECK(X509_NAME_cmp(X509_CRL_get_issuer(crl.get()), X509_get_subject_name(above.get())) == 0);
  CHECK_THAT(text_of(der), Catch::Contains("Last Update: Jun  1 12:00:00 2026 GMT") &&
                               Catch::Contains("Next Update: Jun  8 12:00:00 2026 GMT") &&
                               Catch::Contains("X509v3 CRL Number: \n                300\n") &&
                               Catch::Contains("X509v3 Issuing Distribution Point: critical") &&
                               Catch::Contains("Only User Certificates") &&
                               Catch::Contains("URI:http://capf.example.com:3807/crl/3/0.crl") &&
                               Catch::Contains("X509v3 Authority Key Identifier: ") &&
                               Catch::Contains("Key Compromise") && Catch::Contains("Certificate Hold") &&
                               Catch::Contains("Revocation Date: Jan  1 00:00:00 2050 GMT"));
  REQUIRE(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl.get())) == 4);
  // RFC 5280 5.3.1: no extension for a reason that is not specified
  CHECK(X509_REVOKED_get_ext_count(sk_X509_REVOKED_value(X509_CRL_get_REVOKED(crl.get()), 1)) == 0);
}

TEST_CASE("a CRL with all certificates of its issuer has no distribution point") {
  const Folder folder;
  const auto path = folder.path() / "0.crl";
  ca::CrlTerms terms = crl_terms();
  terms.url.clear();
  REQUIRE(write_crl(path, kEntries, terms));
  CHECK_FALSE(fault_of(path));
  CHECK(value_of(ca::CrlReader::open(path)).terms() == terms);
  CHECK_THAT(text_of(file_bytes(path)), !Catch::Contains("critical"));
}

TEST_CASE("without entries there is no list of them") {
  const Folder folder;
  const auto path = folder.path() / "0.crl";
  REQUIRE(write_crl(path, {}));
  CHECK_FALSE(fault_of(path));
  CHECK(X509_CRL_get_REVOKED(parse(file_bytes(path)).get()) == nullptr);
}

TEST_CASE("what was written is read again, entry by entry, whatever its size") {
  const Folder folder;
  const auto path = folder.path() / "0.crl";
  std::vector<Revocation> entries;
  for (unsigned i = 0; i < 20000; ++i) {
    Bytes serial{0x40, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
    if (i % 3 == 0) serial[0] = 0xC0;  // needs an octet for its sign
    entries.push_back({SerialNumber(serial), test_now() + std::chrono::seconds{i * 7919}, kRevocationReasons[i % 9]});
  }
  std::sort(entries.begin(), entries.end(),
            [](const Revocation& a, const Revocation& b) { return a.serial < b.serial; });
  REQUIRE(write_crl(path, entries));
  auto reader = value_of(ca::CrlReader::open(path));
  CHECK(reader.terms() == crl_terms());
  CHECK(reader.size() == std::filesystem::file_size(path));
  CHECK(value_of(reader.digest()) == sha256(file_bytes(path)));
  std::size_t same = 0;
  for (const Revocation& entry : entries) {
    const auto read = value_of(reader.next());
    REQUIRE(read);
    same += read->serial == entry.serial && read->revoked_at == entry.revoked_at && read->reason == entry.reason;
  }
  CHECK(same == entries.size());
  CHECK_FALSE(value_of(reader.next()));
  CHECK(value_of(ca::CrlReader::open(path)).check_issuer(crl_issuer()));
}

TEST_CASE("a CRL that was changed anywhere, cut off, or is another's is refused") {
  const Folder folder;
  const auto path = folder.path() / "0.crl";
  REQUIRE(write_crl(path, kEntries));
  const Bytes good = file_bytes(path);
  const auto write = [&](BytesView data) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(data.size()));
  };
  std::size_t refused = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes changed = good;
    changed[i] ^= 0x10;
    write(changed);
    refused += fault_of(path) == Reason::kCrlCheckFailed;
  }
  CHECK(refused == good.size());
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, good.size() / 2, good.size() - 1}) {
    write(BytesView(good).first(size));
    CHECK(fault_of(path) == Reason::kCrlCheckFailed);
  }
  Bytes longer = good;
  longer.push_back(0);
  write(longer);
  CHECK(fault_of(path) == Reason::kCrlCheckFailed);
  write(good);
  CHECK_FALSE(fault_of(path));
  CHECK(fault_of(path, crl_issuer("authority/rsa-3072.pem")) == Reason::kCrlCheckFailed);
  REQUIRE(write_crl(path, {kEntries[1], kEntries[0]}));
  CHECK(fault_of(path) == Reason::kCrlCheckFailed);
  REQUIRE(write_crl(path, {kEntries[1], kEntries[1]}));
  CHECK(fault_of(path) == Reason::kCrlCheckFailed);
}
