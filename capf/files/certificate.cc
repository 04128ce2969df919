#include "capf/files/certificate.h"

#include <algorithm>

#include "capf/ca/asn1.h"
#include "capf/ca/certificate.h"
#include "capf/ca/name.h"

namespace capf::files {
namespace {

using ca::DerReader;

Bytes copy(BytesView octets) { return {octets.begin(), octets.end()}; }

/// The octets of a BIT STRING of whole octets.
std::optional<BytesView> bits_of(std::optional<ca::DerElement> element) {
  if (!element || element->content.empty() || element->content[0] != 0) return std::nullopt;
  return element->content.subspan(1);
}

// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue BIT STRING }
std::optional<BytesView> signature_of(BytesView der) {
  DerReader file(der);
  const auto certificate = file.take(ca::kSequence);
  if (!certificate) return std::nullopt;
  DerReader fields(certificate->content);
  if (!fields.take(ca::kSequence) || !fields.take(ca::kSequence)) return std::nullopt;
  return bits_of(fields.take(ca::kBitString));
}

/// Longer names fit into no header of a file that would have the certificate for its signer.
constexpr std::size_t kLongestName = 1024;

bool says(std::string_view text, BytesView name) {
  return text == ca::listed_name(name, ';') || text == ca::listed_name(name, ',') || text == ca::name_text(name);
}

}  // namespace

Result<Certificate> Certificate::read(BytesView der) {
  CAPF_TRY(ca::scan_certificate(der).map_error([](const Error& error) {
    return Error{Reason::kInvalidCertificate, error.message, error.cause};
  }));
  const auto outline = ca::read_outline(der);
  if (!outline) return fail(Reason::kInvalidCertificate);
  const auto key = ca::read_spki(outline->public_key);
  if (!key) return fail(Reason::kInvalidCertificate, key.error().message);
  const auto key_octets = ca::key_octets(outline->public_key);
  const auto signature = signature_of(der);
  const auto not_before = ca::read_time(outline->not_before);
  const auto not_after = ca::read_time(outline->not_after);
  if (!key_octets || !signature || !not_before || !not_after || outline->serial.empty()) {
    return fail(Reason::kInvalidCertificate);
  }
  Certificate certificate;
  certificate.der_ = copy(der);
  certificate.public_key_ = copy(outline->public_key);
  certificate.subject_der_ = copy(outline->subject);
  certificate.issuer_der_ = copy(outline->issuer);
  certificate.subject_ = ca::listed_name(outline->subject, ';');
  certificate.issuer_ = ca::listed_name(outline->issuer, ';');
  if (std::max(certificate.subject_.size(), certificate.issuer_.size()) > kLongestName) {
    return fail(Reason::kInvalidCertificate, "the certificate's names have more than 1024 octets");
  }
  const bool sign_octet = outline->serial.size() > 1 && outline->serial[0] == 0;
  certificate.serial_ = copy(outline->serial.subspan(sign_octet ? 1 : 0));
  certificate.key_ = copy(*key_octets);
  certificate.signature_ = copy(*signature);
  certificate.key_type_ = key->type;
  certificate.key_bits_ = key->bits;
  certificate.not_before_ = *not_before;
  certificate.not_after_ = *not_after;
  return certificate;
}

bool Certificate::is_subject(std::string_view text) const { return says(text, subject_der_); }
bool Certificate::is_issuer(std::string_view text) const { return says(text, issuer_der_); }

}  // namespace capf::files
