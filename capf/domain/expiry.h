#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "capf/base/time.h"
#include "capf/domain/administrator.h"

namespace capf {

/// The certificates that a site lives by. Its audit key has none, so it does not end.
enum class ExpiryKind : std::uint8_t {
  kIssuer,         ///< of the database: each one that is not retired
  kAdministrator,  ///< of the database: each one that is not disabled
  kSiteCa,         ///< this one and those below: as loaded by the server that answers
  kServer,         ///< what both gRPC ports show
  kWire,
  kWireEc,
  kTvs,         ///< of the Trust Verification Service
  kListSigner,  ///< this one and the three below: also the next and former ones, which phones' lists have too
  kRecoverySigner,
  kFileSigner,
  kFileServer,
  kOcsp,       ///< that of an issuer's OCSP responder
  kTrustList,  ///< of the database: each one in the present trust lists of phones
};
/// "issuer", "administrator", "site_ca", "server", "wire", "wire-ec", "tvs", "list-signer", "recovery-signer",
/// "file-signer", "file-server", "ocsp", "trust-list".
std::string_view to_string(ExpiryKind kind);
std::optional<ExpiryKind> parse_expiry_kind(std::string_view text);

/// A certificate whose end stops a part of the service unless it is renewed. The one list of these is
/// Summary::expiries: `capfctl check expiry`, the metrics and the log read it.
struct Expiry {
  ExpiryKind kind = ExpiryKind::kIssuer;
  /// The administrator's; of an issuer its subject, also for kOcsp, and of a certificate of a list; of a next or former
  /// one that of its file; else empty.
  std::string name;
  std::optional<Role> role;  ///< of an administrator
  TimePoint not_after;
  /// From this time on the server renews it by itself, without a warning. Absent where a person renews it, and where
  /// the server should have renewed it a day ago.
  std::optional<TimePoint> renews_at;
  /// The service continues without it: another administrator of this role has a later end, it is not the active issuer,
  /// or not the one that signs phones' files.
  bool spare = false;
};

}  // namespace capf
