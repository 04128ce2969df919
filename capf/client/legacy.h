#pragma once

#include "capf/base/error.h"

namespace capf::client {

/// Lets this process show an old manufacturer's certificate (SHA-1, RSA-1024): OpenSSL's default security level refuses
/// to load one even as our own. It applies to every connection made afterwards, so call it first, and only where such a
/// certificate is to be shown. Errors: INTERNAL.
Status allow_legacy_certificates();

}  // namespace capf::client
