#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/domain/certificate.h"
#include "capf/domain/mode.h"
#include "capf/domain/seal.h"

namespace capf {

enum class SecurityChangeKind : std::uint8_t {
  kModeChanged,           ///< of a phone, or of a profile or the site with all their phones
  kCertificateWithdrawn,  ///< an LSC was revoked or put on hold
  kCertificateReleased,   ///< from hold
  kDigestUserChanged,     ///< of a phone, or the credentials of a user with all their phones
};
/// "mode_changed"
std::string_view to_string(SecurityChangeKind kind);
std::optional<SecurityChangeKind> parse_security_change_kind(std::string_view text);

/// A change that a SIP server wants to hear at once, so that it can drop a registration. The phone's facts and the
/// names are as they are when the change is read, so that a late reader is not misled.
struct SecurityChange {
  ChangeCursor cursor;
  TimePoint at;
  SecurityChangeKind kind = SecurityChangeKind::kModeChanged;
  std::string device;              ///< empty: of a profile, of a user, or of the site
  std::optional<ModeFacts> facts;  ///< of the device
  std::string profile;             ///< the name; of a device, that of its profile; empty where it was removed
  std::int64_t profile_id = 0;
  std::string mode;    ///< of a profile or the site, from this change on
  std::string reason;  ///< "CERTIFICATE_EXPIRED": why a device's mode changed
  Bytes serial;        ///< of an LSC, as are the next ones
  std::optional<Sha256> sha256;
  std::optional<RevocationReason> revocation;  ///< absent: released
  std::string digest_user;                     ///< empty: the device has none from now on
};

}  // namespace capf
