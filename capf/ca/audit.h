#pragma once

#include <botan/rng.h>

#include "capf/ca/key.h"
#include "capf/domain/seal.h"

// The audit key signs seals of the record and nothing else.

namespace capf::ca {

/// ECDSA with SHA-256, DER. Errors: INTERNAL.
Result<Bytes> sign_seal(const SigningKey& key, BytesView text, Botan::RandomNumberGenerator& random);
/// Whether the audit key has signed the seal, and its SHA-256 is right. @param spki SubjectPublicKeyInfo, DER
bool is_good(BytesView spki, const AuditSeal& seal);
bool is_sealed(BytesView spki, BytesView text, BytesView signature);
/// "-----BEGIN PUBLIC KEY-----"
std::string public_key_pem(BytesView spki);

}  // namespace capf::ca
