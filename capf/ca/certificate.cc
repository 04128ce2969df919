#include "capf/ca/certificate.h"

#include <algorithm>

#include <botan/base64.h>
#include <botan/pem.h>
#include <botan/x509cert.h>

#include "capf/ca/asn1.h"
#include "capf/ca/name.h"
#include "capf/ca/spki.h"

namespace capf::ca {
namespace {

// Botan 2.19 parses no later date.
constexpr TimePoint kLatest{std::chrono::sys_days{std::chrono::year{2201} / 1 / 1}};

constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
constexpr std::string_view kEnd = "-----END CERTIFICATE-----";

tl::unexpected<Error> too_many(std::size_t limit) {
  return fail(Reason::kInvalidCertificate, "more than " + std::to_string(limit) + " certificates");
}

Result<Bytes> decode_pem_body(std::string_view body) {
  try {
    const auto der = Botan::base64_decode(body.data(), body.size(), true);
    return Bytes(der.begin(), der.end());
  } catch (const std::exception& error) {
    return fail(Reason::kInvalidCertificate, "the PEM text is damaged", error.what());
  }
}

Result<std::vector<Bytes>> split_pem(std::string_view text, std::size_t limit) {
  std::vector<Bytes> certificates;
  for (std::size_t at = text.find(kBegin); at != std::string_view::npos; at = text.find(kBegin, at)) {
    if (certificates.size() == limit) return too_many(limit);
    at += kBegin.size();
    const std::size_t end = text.find(kEnd, at);
    if (end == std::string_view::npos) return fail(Reason::kInvalidCertificate, "the PEM text is cut short");
    CAPF_LET(Bytes der, decode_pem_body(text.substr(at, end - at)));
    DerReader reader(der);
    if (!reader.take(kSequence) || !reader.at_end()) {
      return fail(Reason::kInvalidCertificate, "what stands in the PEM text is no certificate");
    }
    certificates.push_back(std::move(der));
    at = end + kEnd.size();
  }
  return certificates;
}

Result<std::vector<Bytes>> split_der(BytesView data, std::size_t limit) {
  std::vector<Bytes> certificates;
  DerReader reader(data);
  while (!reader.at_end()) {
    if (certificates.size() == limit) return too_many(limit);
    const auto element = reader.take(kSequence);
    if (!element) return fail(Reason::kInvalidCertificate, "this is neither PEM nor DER");
    certificates.emplace_back(element->whole.begin(), element->whole.end());
  }
  return certificates;
}

tl::unexpected<Error> malformed(std::string why) {
  return fail(Reason::kCertificateMalformed, "the certificate cannot be read: " + std::move(why));
}

Result<CertificateOutline> scan(BytesView der) {
  if (der.size() > kLargestCertificate) return malformed("it is larger than 16 KiB");
  if (!is_one_der_element(der)) return malformed("it is not DER");
  const auto outline = read_outline(der);
  if (!outline) return malformed("it is not an X.509 certificate");
  if (const auto key = read_spki(outline->public_key); !key) return malformed(key.error().message);
  return *outline;
}

}  // namespace

Status scan_certificate(BytesView der) {
  CAPF_TRY(scan(der));
  return {};
}

Result<CertificateFacts> read_certificate(BytesView der) {
  CAPF_LET(const CertificateOutline outline, scan(der));
  const auto not_before = read_time(outline.not_before);
  const auto not_after = read_time(outline.not_after);
  // RFC 5280 4.1.2.5.2
  //    GeneralizedTime values MUST NOT include fractional seconds.
  if (!not_before || !not_after) return malformed("its dates are not written as RFC 5280 asks (YYYYMMDDHHMMSSZ)");
  if (*not_after >= kLatest) return malformed("it ends after the year 2200, which cannot be handled");
  try {
    const Botan::X509_Certificate parsed(der.data(), der.size());
  } catch (const std::exception& error) {
    return fail(Reason::kCertificateMalformed, std::string(words(Reason::kCertificateMalformed)), error.what());
  }
  CertificateFacts facts;
  BytesView serial = outline.serial;
  while (serial.size() > 1 && serial.front() == 0) serial = serial.subspan(1);
  facts.serial.assign(serial.begin(), serial.end());
  facts.subject = name_text(outline.subject);
  facts.issuer = name_text(outline.issuer);
  facts.not_before = *not_before;
  facts.not_after = *not_after;
  facts.sha256 = sha256(der);
  facts.key_sha256 = sha256(outline.public_key);
  return facts;
}

std::string to_pem(BytesView der) { return Botan::PEM_Code::encode(der.data(), der.size(), "CERTIFICATE"); }

Result<std::vector<Bytes>> split_certificates(BytesView pem_or_der, std::size_t limit) {
  const std::string_view text = as_text(pem_or_der);
  auto certificates =
      text.find(kBegin) != std::string_view::npos ? split_pem(text, limit) : split_der(pem_or_der, limit);
  if (certificates && certificates->empty()) return fail(Reason::kInvalidCertificate, "there is no certificate in it");
  return certificates;
}

}  // namespace capf::ca
