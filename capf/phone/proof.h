#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "capf/client/key.h"

namespace capf::phone {

/// The elements by which a phone proves on the wire that a certificate is its own.
struct Proof {
  struct Sudi {
    Bytes sha1_signature;  ///< over session id (4 octets, little-endian) and certificate
    Bytes sha512_signature;
  };

  Bytes sha1_signature;  ///< over device name, 0x00 and certificate
  Bytes sha512_signature;
  std::optional<Sudi> sudi;  ///< RSA keys only
};

/// @param session_id absent: without the part that signs it, as older phones prove. Errors: INTERNAL.
Result<Proof> prove(const client::PrivateKey& key, BytesView certificate, const std::string& device,
                    std::optional<std::uint32_t> session_id);

}  // namespace capf::phone
