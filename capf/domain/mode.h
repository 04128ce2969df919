#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "capf/domain/phone.h"

namespace capf {

/// The device security mode, in ascending order: what a profile asks of its phones, and what is in effect.
enum class DeviceMode : std::uint8_t { kNonsecure, kAuthenticated, kEncrypted };
inline constexpr std::array kDeviceModes{DeviceMode::kNonsecure, DeviceMode::kAuthenticated, DeviceMode::kEncrypted};
std::string_view to_string(DeviceMode mode);
std::optional<DeviceMode> parse_device_mode(std::string_view text);

/// The cluster security mode: in a nonsecure site every phone is nonsecure, whatever its profile says.
enum class SiteMode : std::uint8_t { kNonsecure, kMixed };
inline constexpr std::array kSiteModes{SiteMode::kNonsecure, SiteMode::kMixed};
std::string_view to_string(SiteMode mode);
std::optional<SiteMode> parse_site_mode(std::string_view text);

/// Why the mode in effect is lower than the profile's.
enum class ModeReason : std::uint8_t {
  kNone,  ///< it is not
  kSiteNonsecure,
  kRemoved,
  kBlocked,
  kNoCertificate,
  kCertificateExpired,
  kCertificateRevoked,
  kCertificateHeld,
};
/// "NONE", "SITE_NONSECURE", "REMOVED", "BLOCKED", "NO_CERTIFICATE", …
std::string_view to_string(ModeReason reason);

/// All that the mode in effect of one phone depends on, at one moment.
struct ModeFacts {
  SiteMode site = SiteMode::kNonsecure;
  DeviceMode profile = DeviceMode::kNonsecure;
  bool removed = false;
  bool blocked = false;
  LscStatus lsc = LscStatus::kNone;  ///< of the LSC that it confirmed last; expired by the time asked about
  bool good_mic = false;             ///< its profile allows a MIC in place of an LSC, and the remembered one is in time
};

struct EffectiveMode {
  DeviceMode mode = DeviceMode::kNonsecure;
  ModeReason reason = ModeReason::kNone;

  friend bool operator==(const EffectiveMode&, const EffectiveMode&) = default;
};

/// Pure, and the only place of this rule in C++. Source: specs, "Three modes".
EffectiveMode effective_mode(const ModeFacts& facts);

}  // namespace capf
