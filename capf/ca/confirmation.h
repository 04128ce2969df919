#pragma once

#include <array>
#include <cstdint>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/domain/device.h"

namespace capf::ca {

/// Drawn for one certificate on one stream, and used once.
using ConfirmationNonce = std::array<std::uint8_t, 32>;

/// Verifies that a phone has stored a certificate: its new key has signed
///
///   "CAPF Enrol 1: stored" 00 device 00 nonce (32 octets) SHA-256 of the certificate's DER (32 octets)
///
/// The key alone decides how: RSA by PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 octets (RFC 8017 8.1); EC by
/// ECDSA in DER, with SHA-256 on P-256, SHA-384 on P-384 and SHA-512 on P-521.
/// @param certificate one that this site has issued. Errors: PROOF_INVALID.
Status verify_confirmation(BytesView certificate, const DeviceName& device, const ConfirmationNonce& nonce,
                           BytesView signature);

}  // namespace capf::ca
