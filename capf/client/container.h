#pragma once

#include <string_view>

#include "capf/base/error.h"
#include "capf/base/secret.h"

namespace capf::client {

/// A certificate with its chain and its key as PKCS #12, which browsers import: PBES2 with AES-256 and a MAC with
/// SHA-256, both from the passphrase. @param certificate_pem the first of its chain is the key's.
/// Errors: INVALID_CERTIFICATE, also where they do not belong together; KEY_ENCODING; INTERNAL.
Result<Secret> make_pkcs12(std::string_view certificate_pem, std::string_view key_pem, const Secret& passphrase,
                           std::string_view name);

}  // namespace capf::client
