#pragma once

#include "capf/base/secret.h"

namespace capf {

/// H(user ":" realm ":" password) with each algorithm that SIP knows, in lower case hex. Each one is as good as the
/// password for its realm, and is kept as secretly.
struct Ha1 {
  Secret md5;         ///< RFC 3261 22.4: 32 digits
  Secret sha256;      ///< RFC 8760: 64 digits
  Secret sha512_256;  ///< RFC 8760: 64 digits
};

}  // namespace capf
