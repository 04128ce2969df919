#pragma once

#include "capf/base/bytes.h"
#include "capf/ca/spki.h"
#include "capf/domain/key.h"
#include "capf/domain/operation.h"

namespace capf::ca {

inline constexpr std::size_t kLargestRequest = 8192;

/// A public key that a phone (or an administrator) offers.
struct OfferedKey {
  Bytes public_key;  ///< SubjectPublicKeyInfo, DER, as it was sent
  KeyDigests digests;
  KeyType type = KeyType::kRsa;
  int bits = 0;  ///< of the modulus or the curve: 2048, 384
};

/// A PKCS #10 request (RFC 2986) in DER, whose signature proves that the sender has the key. Scanned before it is
/// parsed. The key itself is left to check_key(). Errors: REQUEST_TOO_LARGE, INVALID_CERTIFICATION_REQUEST,
/// REQUEST_SIGNATURE, KEY_ENCODING, KEY_TYPE_REFUSED, KEY_NOT_ON_CURVE.
Result<OfferedKey> read_request(BytesView der);
/// A bare SubjectPublicKeyInfo. Errors: KEY_ENCODING, KEY_TYPE_REFUSED, KEY_NOT_ON_CURVE.
Result<OfferedKey> read_public_key(BytesView der);

/// Checks that the key is good: size, exponent (odd, 3 or 65537 and above, at most 32 bits), no factor below 2^16, no
/// close primes (Fermat, 100 rounds), no ROCA fingerprint, point on the curve and not at infinity.
/// Errors: KEY_SIZE_REFUSED, KEY_EXPONENT, KEY_SMALL_FACTOR, KEY_CLOSE_PRIMES, KEY_ROCA, KEY_NOT_ON_CURVE.
Status check_key(const OfferedKey& key, bool allow_rsa_1024);
/// Checks that the key is what the operation asks for; EC preferred accepts either type. Errors: KEY_SIZE_MISMATCH.
Status check_wanted(const OfferedKey& key, const KeyPolicy& wanted);

}  // namespace capf::ca
