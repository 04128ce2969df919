#pragma once

#include <string>

#include "capf/base/bytes.h"

// The kinds of file in which people keep certificates and keys.

namespace capf::ca {

/// RFC 7292 4: a PFX, by its version.
bool is_pkcs12(BytesView file);

/// Names the kind of a file that is not the one asked for, and how to convert it, in words that follow "this is": "a
/// Java keystore, which 'keytool …' turns into PKCS #12". Shows nothing of the content but a label of PEM.
std::string describe_file(BytesView file);

}  // namespace capf::ca
