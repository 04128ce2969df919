#pragma once

#include <botan/rng.h>

#include "capf/ca/key.h"

// The audit key signs seals of the record and nothing else.

namespace capf::ca {

/// ECDSA with SHA-256, DER. Errors: INTERNAL.
Result<Bytes> sign_seal(const SigningKey& key, BytesView text, Botan::RandomNumberGenerator& random);
/// @param spki SubjectPublicKeyInfo, DER
bool is_sealed(BytesView spki, BytesView text, BytesView signature);
/// "-----BEGIN PUBLIC KEY-----"
std::string public_key_pem(BytesView spki);

}  // namespace capf::ca
