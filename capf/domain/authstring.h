#pragma once

#include <string_view>

#include <botan/rng.h>

#include "capf/base/error.h"
#include "capf/base/secret.h"

namespace capf {

/// 4 to 10 ASCII digits. Errors: INVALID_AUTH_STRING.
Status check_auth_string(std::string_view digits);
/// 8 digits, each as likely as any other.
Secret generate_auth_string(Botan::RandomNumberGenerator& random);

}  // namespace capf
