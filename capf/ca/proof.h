#pragma once

#include <cstdint>
#include <optional>

#include "capf/base/bytes.h"
#include "capf/domain/device.h"

namespace capf::ca {

enum class ProofHash : std::uint8_t { kSha1, kSha256, kSha512 };

/// How a phone proves a certificate on the wire (`capf/wire/README.md`, "Proof of a certificate"). Views into a
/// stranger's message; an empty one was not sent.
struct ProofClaim {
  /// The same over the session's id: the part that cannot be replayed.
  struct Sudi {
    BytesView certificate;       ///< DER
    BytesView sha1_signature;    ///< over session id (4 octets, little-endian) and certificate
    BytesView sha512_signature;  ///< over the same
  };

  BytesView certificate;                   ///< DER
  BytesView sha1_signature;                ///< over device name, 0x00 and certificate
  BytesView sha2_signature;                ///< over the same
  ProofHash sha2_hash = ProofHash::kSha1;  ///< of the signature above; SHA-1 is refused
  std::optional<Sudi> sudi;
};

/// The certificates whose private keys the phone has proven to have. Still unchecked: whether they are good, and the
/// device's.
struct ProvenCertificates {
  Bytes certificate;          ///< the one that authenticates, DER
  bool fresh = false;         ///< it signed this session's id
  std::optional<Bytes> sudi;  ///< another one, which signed this session's id: it must be the device's as well
};

/// Checks every signature of the claim, and that none is missing: SHA-1 and SHA-2 over the name, and where there is a
/// SUDI part, SHA-1 and SHA-512 over the session's id. RSA signatures are the bare digest in PKCS #1 v1.5 padding of
/// type 1 without DigestInfo, compared as a whole; EC ones are ECDSA in DER, and have no SUDI part. Errors:
/// CERTIFICATE_MALFORMED, PROOF_INVALID.
Result<ProvenCertificates> verify_proof(const ProofClaim& claim, const DeviceName& device, std::uint32_t session_id);

}  // namespace capf::ca
