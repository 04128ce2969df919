#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/domain/device.h"
#include "capf/domain/issuer.h"
#include "capf/domain/key.h"

namespace capf::ca {

/// A certificate of a path, and its key.
struct PathCertificate {
  Sha256 sha256{};  ///< of the DER
  KeyDigests key;
};

/// A MIC that chains to an anchor, is in time (or expired as its anchor allows), strong enough, and the device's.
struct JudgedMic {
  Sha256 sha256{};
  Bytes der{};
  TimePoint not_before;
  TimePoint not_after;
  KeyDigests key;
  std::string model;                     ///< what stands before the last hyphen of the CN
  std::string serial_number;             ///< the subject's serialNumber; may be empty
  bool expired = false;                  ///< expired, but allowed until a date by every anchor in its path
  std::vector<PathCertificate> issuers;  ///< the CAs above it, up to and with the root
  /// The last moment at which the judgement is the same, as long as the anchors are: a certificate of the path expires
  /// then, or the trust in one ends.
  TimePoint holds_until = TimePoint::max();
};

/// Another site's LSC that chains to an anchor of the store lsc and is the device's.
struct JudgedLsc {
  Sha256 sha256{};
  KeyDigests key;
  std::vector<PathCertificate> issuers;      ///< as in JudgedMic
  TimePoint holds_until = TimePoint::max();  ///< likewise
};

/// The anchors of one moment, parsed once. Immutable. Threads: any.
class TrustStore {
 public:
  /// Anchors that cannot be parsed any more are left out.
  static std::unique_ptr<const TrustStore> make(const std::vector<TrustAnchor>& anchors);
  virtual ~TrustStore() = default;

  /// RFC 5280 6.1, with the limits of every anchor in the path. Exactly one CN; the part after its last hyphen is the
  /// device's name, byte for byte. The leaf may lack extensions, its issuers may not.
  /// @param chain the other certificates that the phone sent, at most kLongestChain - 1.
  /// Errors: CERTIFICATE_MALFORMED, _DATES, _UNKNOWN_ISSUER, _EXPIRED, _NOT_YET_VALID, _WEAK, _NAME_MISMATCH,
  /// _OUTSIDE_ANCHOR.
  virtual Result<JudgedMic> judge_mic(BytesView leaf, std::span<const Bytes> chain, const DeviceName& device,
                                      TimePoint now) const = 0;
  /// The same for the store lsc: exactly one CN, which is the device's name or ends in '-' and it; never expired.
  virtual Result<JudgedLsc> judge_foreign_lsc(BytesView leaf, std::span<const Bytes> chain, const DeviceName& device,
                                              TimePoint now) const = 0;
  /// The issuer that the leaf's path lacks: neither sent in the chain nor an anchor of a store. Follows names and key
  /// identifiers and checks no signature, so it is for people to look at. Nothing where the path ends at an anchor,
  /// the leaf names itself, or a certificate cannot be read.
  virtual std::optional<UnknownIssuer> find_unknown_issuer(BytesView leaf, std::span<const Bytes> chain) const = 0;
};

/// Reads a certificate that an administrator wants to trust: it must be a CA certificate with its extensions
/// (basicConstraints CA, keyCertSign where it has key usage), RSA of 1024 bits or more or one of the three curves, not
/// signed with MD5, and not an end entity's. Fills der, sha256, subject, not_before, not_after of the anchor.
/// Errors: INVALID_CERTIFICATE with the fault in words.
Result<TrustAnchor> read_anchor(BytesView der);

}  // namespace capf::ca
