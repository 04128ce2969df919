#include "capf/ca/certificate.h"

#include <algorithm>

#include <botan/pem.h>

#include "capf/base/utf8.h"
#include "capf/ca/asn1.h"
#include "capf/ca/name.h"
#include "capf/ca/openssl.h"
#include "capf/ca/spki.h"

namespace capf::ca {
namespace {

// Botan 2.19 parses only dates between these.
constexpr TimePoint kEarliest{std::chrono::sys_days{std::chrono::year{1950} / 1 / 1}};
constexpr TimePoint kLatest{std::chrono::sys_days{std::chrono::year{2201} / 1 / 1}};
constexpr std::string_view kLatestText = "22001231235959Z";

tl::unexpected<Error> malformed(std::string why) {
  return fail(Reason::kCertificateMalformed, "the certificate cannot be read: " + std::move(why));
}

struct Dates {
  TimePoint not_before;
  TimePoint not_after;
};

Result<Dates> read_dates(const CertificateOutline& outline) {
  const auto not_before = read_time(outline.not_before);
  const auto not_after = read_time(outline.not_after);
  // RFC 5280 4.1.2.5.2
  //    GeneralizedTime values MUST NOT include fractional seconds.
  if (!not_before || !not_after) {
    return fail(Reason::kCertificateDates, "its dates are not written as RFC 5280 asks (YYYYMMDDHHMMSSZ)");
  }
  if (*not_before < kEarliest || *not_after < kEarliest) {
    return fail(Reason::kCertificateDates, "its dates lie before the year 1950, which cannot be handled");
  }
  return Dates{*not_before, *not_after};
}

Result<CertificateOutline> scan(BytesView der) {
  if (der.size() > kLargestCertificate) return malformed("it is larger than 16 KiB");
  if (!is_one_der_element(der)) return malformed("it is not DER");
  const auto outline = read_outline(der);
  if (!outline) return malformed("it is not an X.509 certificate");
  if (const auto key = read_spki(outline->public_key); !key) return malformed(key.error().message);
  return *outline;
}

/// At most `longest` octets, with "..." after them where there are more.
std::string shortened(const std::string& text, std::size_t longest) {
  const std::string_view shown = cut(text, longest);
  return std::string(shown) + (shown.size() < text.size() ? "..." : "");
}

}  // namespace

Status scan_certificate(BytesView der) {
  CAPF_TRY(scan(der));
  return {};
}

Result<CertificateFacts> read_certificate(BytesView der) {
  CAPF_LET(const CertificateOutline outline, scan(der));
  CAPF_LET(const Dates dates, read_dates(outline));
  try {
    parse_botan(der);
  } catch (const std::exception& error) {
    return fail(Reason::kCertificateMalformed, std::string(words(Reason::kCertificateMalformed)), error.what());
  }
  CertificateFacts facts;
  BytesView serial = outline.serial;
  while (serial.size() > 1 && serial.front() == 0) serial = serial.subspan(1);
  facts.serial.assign(serial.begin(), serial.end());
  facts.subject = name_text(outline.subject);
  facts.issuer = name_text(outline.issuer);
  facts.not_before = dates.not_before;
  facts.not_after = dates.not_after;
  facts.sha256 = sha256(der);
  facts.key = key_digests(outline.public_key);
  return facts;
}

std::string CertificateWords::text() const {
  if (dates.empty()) return "SHA-256 " + sha256 + ", which cannot be read";
  return "subject " + subject + ", issuer " + issuer + ", serial " + serial + ", valid from " + dates + ", SHA-256 " +
         sha256;
}

CertificateWords describe_certificate(BytesView der) {
  constexpr std::size_t kLongestName = 120;
  constexpr std::size_t kSerialShown = 40;  // RFC 5280 4.1.2.2: 20 octets
  CertificateWords words;
  words.sha256 = to_hex(sha256(der));
  const auto facts = read_certificate(der);
  if (!facts) return words;
  words.subject = shortened(facts->subject, kLongestName);
  words.issuer = shortened(facts->issuer, kLongestName);
  words.serial = shortened(to_hex(facts->serial), kSerialShown);
  words.dates = to_rfc3339(facts->not_before) + " to " + to_rfc3339(facts->not_after);
  return words;
}

Result<std::optional<Bytes>> within_botan(BytesView der) {
  const auto outline = read_outline(der);
  if (!outline) return malformed("it is not an X.509 certificate");
  CAPF_LET(const Dates dates, read_dates(*outline));
  std::optional<Bytes> copy;
  const auto bring_near = [&](const DerElement& date, TimePoint time) {
    if (time < kLatest) return;
    if (!copy) copy.emplace(der.begin(), der.end());
    // RFC 5280 4.1.2.5: so late a year is a GeneralizedTime, which always has as many octets.
    CAPF_INVARIANT(date.content.size() == kLatestText.size());
    std::copy(kLatestText.begin(), kLatestText.end(), copy->begin() + (date.content.data() - der.data()));
  };
  bring_near(outline->not_before, dates.not_before);
  bring_near(outline->not_after, dates.not_after);
  return copy;
}

Botan::X509_Certificate parse_botan(BytesView der) {
  if (const auto copy = within_botan(der); copy && *copy) return Botan::X509_Certificate(**copy);
  return {der.data(), der.size()};
}

std::string signature_hash_of(BytesView der) {
  const ErrorQueue errors;
  const X509Ptr certificate = parse_x509(der);
  int hash = NID_undef;
  if (!certificate || X509_get_signature_info(certificate.get(), &hash, nullptr, nullptr, nullptr) != 1) {
    return "unknown";
  }
  switch (hash) {
    case NID_undef: return "unknown";
    case NID_sha1: return "SHA-1";
    case NID_sha224: return "SHA-224";
    case NID_sha256: return "SHA-256";
    case NID_sha384: return "SHA-384";
    case NID_sha512: return "SHA-512";
    default: return OBJ_nid2sn(hash);
  }
}

bool is_signed_by(BytesView subject, BytesView issuer) {
  const ErrorQueue errors;
  const X509Ptr below = parse_x509(subject);
  const X509Ptr above = parse_x509(issuer);
  return below && above && is_issued_by(below.get(), above.get());
}

std::optional<Bytes> rsa_modulus(BytesView der) {
  const auto outline = read_outline(der);
  const auto key = outline ? read_spki(outline->public_key) : fail(Reason::kCertificateMalformed);
  if (!key || key->type != KeyType::kRsa || key->bits < 512 || key->modulus.back() % 2 == 0) return std::nullopt;
  return Bytes(key->modulus.begin(), key->modulus.end());
}

std::string to_pem(BytesView der) { return Botan::PEM_Code::encode(der.data(), der.size(), "CERTIFICATE"); }

}  // namespace capf::ca
