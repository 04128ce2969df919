#pragma once

#include <optional>
#include <string>
#include <vector>

#include <botan/x509cert.h>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/domain/key.h"

namespace capf::ca {

inline constexpr std::size_t kLargestCertificate = 16384;
inline constexpr std::size_t kLongestChain = 4;  ///< certificates in all, the leaf among them

/// Checks a stranger's certificate before Botan parses it, by one bounded walk over the DER that copies nothing.
/// Refuses more than kLargestCertificate octets, an outline that is not DER, explicit EC parameters, RSA moduli above
/// 4096 bits and exponents above 32 bits. Errors: CERTIFICATE_MALFORMED.
Status scan_certificate(BytesView der);

/// The facts of a certificate that are kept on record.
struct CertificateFacts {
  Bytes serial;         ///< big-endian, without sign octet
  std::string subject;  ///< RFC 4514
  std::string issuer;   ///< RFC 4514
  TimePoint not_before;
  TimePoint not_after;
  Sha256 sha256{};  ///< of the DER
  KeyDigests key;
};

/// Scans and parses. Errors: CERTIFICATE_MALFORMED, CERTIFICATE_DATES.
Result<CertificateFacts> read_certificate(BytesView der);

/// A certificate for people to look at, whoever wrote it: each part fits on a line of the log, and is UTF-8 without
/// control characters. All but its SHA-256 are empty where it cannot be read.
struct CertificateWords {
  std::string subject;  ///< RFC 4514, at most 123 octets; a longer one ends in "..."
  std::string issuer;   ///< likewise
  std::string serial;   ///< hexadecimal, at most 43
  std::string dates;    ///< "2025-01-01T00:00:00Z to 2045-01-01T00:00:00Z"
  std::string sha256;   ///< hexadecimal

  /// All of them in one text of at most 460 octets.
  std::string text() const;
};
CertificateWords describe_certificate(BytesView der);

/// The certificate with dates that Botan 2.19 can read, which knows no year after 2200: a later date, like the 9999 of
/// devices without an end, becomes the last second of 2200. The signature of such a copy is wrong; is_signed_by()
/// judges the original. Nothing where Botan can read the certificate itself. Errors: CERTIFICATE_MALFORMED,
/// CERTIFICATE_DATES.
Result<std::optional<Bytes>> within_botan(BytesView der);
/// The hash under a certificate's signature: "SHA-1", "SHA-256", or as OpenSSL calls others; "unknown" without one.
std::string signature_hash_of(BytesView der);
/// The certificate, or its copy of within_botan(). Throws where it cannot be parsed.
Botan::X509_Certificate parse_botan(BytesView der);
/// Whether the issuer's name is the other one's subject, and its key has signed it: RFC 5280 6.1.3 (a)(1), (4).
bool is_signed_by(BytesView subject, BytesView issuer);

/// The modulus of a certificate's RSA key, without sign octet; nothing where that is no odd number of 512 bits or more.
/// Parses as little as it can.
std::optional<Bytes> rsa_modulus(BytesView der);

std::string to_pem(BytesView der);
/// The certificates of a file that an administrator brings, at most `limit`: PEM in its kinds (text between the blocks
/// is skipped), also as UTF-16; one or more DER; PKCS #7. Only their outlines are looked at.
/// Errors: INVALID_CERTIFICATE, with words for what the file is instead.
Result<std::vector<Bytes>> split_certificates(BytesView file, std::size_t limit = 100);

}  // namespace capf::ca
