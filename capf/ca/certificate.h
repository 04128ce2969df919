#pragma once

#include <string>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/time.h"

namespace capf::ca {

inline constexpr std::size_t kLargestCertificate = 16384;
inline constexpr std::size_t kLongestChain = 4;  ///< certificates in all, the leaf among them

/// Before Botan parses what a stranger sent: one bounded walk over the DER that copies nothing. Refuses what is larger
/// than kLargestCertificate, not DER in its outline, explicit EC parameters, RSA moduli above 4096 bits and exponents
/// above 32 bits. Errors: CERTIFICATE_MALFORMED.
Status scan_certificate(BytesView der);

/// What the records need to know of a certificate.
struct CertificateFacts {
  Bytes serial;         ///< big-endian, without sign octet
  std::string subject;  ///< RFC 4514
  std::string issuer;   ///< RFC 4514
  TimePoint not_before;
  TimePoint not_after;
  Sha256 sha256{};      ///< of the DER
  Sha256 key_sha256{};  ///< of the SubjectPublicKeyInfo
};

/// Scans and parses. Errors: CERTIFICATE_MALFORMED.
Result<CertificateFacts> read_certificate(BytesView der);

std::string to_pem(BytesView der);
/// The certificates of a PEM file (anything between them is passed over) or of one or more concatenated DER, at most
/// `limit`. Only their outlines are looked at. Errors: INVALID_CERTIFICATE.
Result<std::vector<Bytes>> split_certificates(BytesView pem_or_der, std::size_t limit = 100);

}  // namespace capf::ca
