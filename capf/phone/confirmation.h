#pragma once

#include <string>

#include "capf/client/key.h"

namespace capf::phone {

/// The signature by which a phone says on a stream that it has stored a certificate; ca::verify_confirmation() is the
/// server's side.
/// @param certificate DER, as it was received
/// @param nonce of the server. Errors: INVALID_REQUEST unless it has 32 octets, because the key signs nothing else of a
/// server's choice; INTERNAL.
Result<Bytes> confirm_stored(const client::PrivateKey& key, const std::string& device, BytesView certificate,
                             BytesView nonce);

}  // namespace capf::phone
