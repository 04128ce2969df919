#pragma once

#include "capf/base/secret.h"
#include "capf/client/key.h"
#include "capf/phone/header.h"

namespace capf::phone {

/// The content of an encrypted file, whose signature has been checked. Errors: FILE_MALFORMED, the same for whatever is
/// wrong: another key, padding, digest.
Result<Secret> decrypt(const Header& file, const client::PrivateKey& key);

}  // namespace capf::phone
