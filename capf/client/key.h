#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/base/secret.h"
#include "capf/base/time.h"

struct evp_pkey_st;

namespace capf::client {

struct KeyKind {
  enum class Type : std::uint8_t { kRsa, kEc };
  Type type = Type::kRsa;
  int bits = 2048;  ///< RSA: the modulus; EC: 256, 384 or 521

  bool operator==(const KeyKind&) const = default;
};

/// A client's own key, made where it is used. By OpenSSL alone, so that clients and server do not share one mistake.
/// Threads: a key belongs to one at a time.
class PrivateKey {
 public:
  /// Errors: KEY_GENERATION_FAILED.
  static Result<PrivateKey> generate(KeyKind kind);
  /// RSA from two primes (big-endian) and the exponent 65537. Errors: KEY_GENERATION_FAILED.
  static Result<PrivateKey> from_primes(BytesView p, BytesView q);
  /// Unencrypted, PEM; text around it is skipped. Errors: KEY_ENCODING.
  static Result<PrivateKey> parse(std::string_view pem);

  /// PKCS #8, PEM, unencrypted.
  Secret pem() const;
  /// SubjectPublicKeyInfo, DER.
  const Bytes& public_key() const { return public_key_; }
  /// PKCS #10 in DER, signed with SHA-256, its subject CN=`common_name`. Errors: INTERNAL.
  Result<Bytes> certification_request(const std::string& common_name) const;

  enum class Digest : std::uint8_t { kSha1, kSha512 };
  bool is_rsa() const;
  /// As phones sign on the wire: RSA the bare digest in PKCS #1 v1.5 padding of type 1, without DigestInfo; EC by
  /// ECDSA, in DER. Errors: INTERNAL where an RSA key is too small for the digest.
  Result<Bytes> sign_bare(Digest digest, BytesView data) const;
  /// RSA: PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 octets; EC: ECDSA in DER, with SHA-256 on P-256, SHA-384
  /// on P-384 and SHA-512 on P-521. Errors: INTERNAL.
  Result<Bytes> sign(BytesView data) const;
  /// Opens octets that were encrypted for this RSA key by PKCS #1 v1.5. Errors: KEY_ENCODING, for every fault.
  Result<Secret> decrypt(BytesView encrypted) const;

 private:
  explicit PrivateKey(evp_pkey_st* key);
  std::shared_ptr<evp_pkey_st> key_;
  Bytes public_key_;
};

/// A prime of so many bits, its two top bits set, that suits the exponent 65537; big-endian.
/// Errors: KEY_GENERATION_FAILED.
Result<Bytes> generate_prime(int bits);

/// The facts that clients read in a certificate.
struct CertificateFacts {
  std::string serial;  ///< lower-case hexadecimal
  TimePoint not_after;
  Bytes public_key;           ///< SubjectPublicKeyInfo, DER
  bool needs_legacy = false;  ///< an MD5 or SHA-1 signature, or RSA below 2,048 bits
};
/// Errors: INVALID_CERTIFICATE.
Result<CertificateFacts> read_certificate(BytesView der);
/// The same of a certificate that the key of `issuer` has signed. Errors: INVALID_CERTIFICATE, also where it has not.
Result<CertificateFacts> read_issued(BytesView der, BytesView issuer);
/// Whether TLS can show them: a certificate in PEM, the first of its chain, and its private key. Errors:
/// INVALID_CERTIFICATE, also where they do not belong together; KEY_ENCODING.
Status check_pair(std::string_view certificate_pem, std::string_view key_pem);
/// Whether `signature` (DER) over `data` is by SHA-256 and the EC key in `public_key` (SubjectPublicKeyInfo, PEM).
bool is_signature(const std::string& public_key, BytesView data, BytesView signature);
/// The certificates of a PEM file in their order, as DER; none is no error. Errors: INVALID_CERTIFICATE.
Result<std::vector<Bytes>> parse_certificates(std::string_view pem);
std::string certificate_pem(BytesView der);
std::string request_pem(BytesView der);
/// SubjectPublicKeyInfo of a PKCS #10 request in DER. Errors: INVALID_CERTIFICATION_REQUEST.
Result<Bytes> public_key_of_request(BytesView der);
/// SubjectPublicKeyInfo of a file that holds a public key, a certificate or a PKCS #10 request, in PEM (the first of
/// them) or DER. Errors: KEY_ENCODING.
Result<Bytes> public_key_of_file(std::string_view file);
/// The first PKCS #10 request of a PEM text, as DER. Errors: INVALID_CERTIFICATION_REQUEST.
Result<Bytes> parse_request(std::string_view pem);

}  // namespace capf::client
