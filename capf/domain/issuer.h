#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/domain/device.h"

namespace capf {

/// next: added, and not yet used. former: it issued, its LSCs still count and its CRLs are still made; it may become
/// active again. retired: for ever.
enum class IssuerState : std::uint8_t { kNext, kActive, kFormer, kRetired };
std::string_view to_string(IssuerState state);

/// A generation of the CAPF certificate. One is active.
struct IssuerRecord {
  std::int64_t id = 0;  ///< 1, 2, …: part of the URLs in its LSCs
  std::string subject;  ///< RFC 4514
  Sha256 sha256{};      ///< of `der`
  Bytes der;
  Bytes chain_der;  ///< the CAs above an intermediate, as certificates one after the other; may be empty
  TimePoint not_before;
  TimePoint not_after;
  bool active = false;
  int shards = 1;  ///< of its CRL
  TimePoint added_at;
  std::optional<TimePoint> activated_at;  ///< for the first time
  std::optional<TimePoint> retired_at;

  IssuerState state() const {
    if (active) return IssuerState::kActive;
    if (retired_at) return IssuerState::kRetired;
    return activated_at ? IssuerState::kFormer : IssuerState::kNext;
  }
};

enum class TrustStoreName : std::uint8_t { kMic, kLsc };
std::string_view to_string(TrustStoreName store);
std::optional<TrustStoreName> parse_trust_store_name(std::string_view text);

/// The issuer that the path of a refused certificate ends at, where no trust anchor is. A stranger may have made it up.
struct UnknownIssuer {
  std::string name;      ///< RFC 4514, shortened where it is long, as is `subject`
  Bytes key_identifier;  ///< of its key, as the certificates of the path say; may be empty
  std::string subject;   ///< of the certificate that was shown, RFC 4514
  Sha256 sha256{};       ///< of that certificate
};

/// An unknown issuer, and who has shown certificates below it.
struct TrustCandidate {
  UnknownIssuer issuer;  ///< with the certificate that was shown last
  std::int64_t count = 0;
  TimePoint first_at;
  TimePoint last_at;
  std::vector<std::string> devices;    ///< that were named, at most kMostInCandidate, the last one first
  std::vector<std::string> addresses;  ///< likewise
};
inline constexpr int kMostInCandidate = 8;
inline constexpr int kMostCandidates = 200;
/// The limits of TrustAnchor::min_rsa_bits.
inline constexpr int kLeastMinRsaBits = 1024;
inline constexpr int kMostMinRsaBits = 4096;

/// A CA certificate that may speak for phones. Self-signed ones are anchors, others link to them; the limits of every
/// one in a path hold.
struct TrustAnchor {
  Sha256 sha256{};  ///< of `der`
  TrustStoreName store = TrustStoreName::kMic;
  Bytes der;
  std::string subject;  ///< RFC 4514
  TimePoint not_before;
  TimePoint not_after;
  Pattern devices = Pattern::any();              ///< the device names it may speak for
  Pattern models = Pattern::any();               ///< the models, where a MIC names one
  bool allow_sha1 = false;                       ///< for old manufacturers only
  int min_rsa_bits = 2048;                       ///< 1024 for old manufacturers only
  std::optional<TimePoint> allow_expired_until;  ///< an expired MIC still counts for a scheduled first LSC until then
  std::optional<TimePoint> ends_at;              ///< trusted until then; needed for the store lsc
  TimePoint added_at;
  std::string added_by;
};

}  // namespace capf
