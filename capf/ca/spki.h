#pragma once

#include <optional>

#include "capf/base/bytes.h"
#include "capf/domain/key.h"

namespace capf::ca {

enum class KeyType : std::uint8_t { kRsa, kEc };

/// The parts of a SubjectPublicKeyInfo, as views into the octets that were read.
struct PublicKeyOutline {
  KeyType type = KeyType::kRsa;
  int bits = 0;
  BytesView modulus;   ///< RSA: without sign octet
  BytesView exponent;  ///< RSA: without sign octet
  int curve = 0;       ///< EC: OpenSSL's NID
  BytesView point;     ///< EC: as encoded, uncompressed or the point at infinity
};

/// RFC 3279 2.3.1 and RFC 5480 2: RSA with a modulus of at most 4096 bits and an exponent of at most 32 bits, or one of
/// the three NIST curves by name. Errors: KEY_ENCODING, KEY_TYPE_REFUSED, KEY_SIZE_REFUSED, KEY_EXPONENT.
Result<PublicKeyOutline> read_spki(BytesView der);

/// The digests of a key. The one of an RSA modulus is the SHA-256 of "RSA modulus " and its octets without sign octet.
/// Octets that are no SubjectPublicKeyInfo, and keys of other kinds, have the SHA-256 alone.
KeyDigests key_digests(BytesView spki);

/// The octets of its BIT STRING: an RSAPublicKey, or a point. Nothing for what is no SubjectPublicKeyInfo.
std::optional<BytesView> key_octets(BytesView spki);

/// RFC 7093 2 (1): the first 160 bits of the SHA-256 of the BIT STRING's octets. Empty for what is no
/// SubjectPublicKeyInfo.
Bytes key_identifier(BytesView spki);

}  // namespace capf::ca
