#pragma once

#include "capf/ca/key.h"
#include "capf/ca/openssl.h"

namespace capf::ca {

/// A SigningKey from a key that OpenSSL has read. Errors: INVALID_CONFIGURATION for a kind that is not taken.
Result<std::unique_ptr<SigningKey>> adopt_key(std::shared_ptr<EVP_PKEY> key);

}  // namespace capf::ca
