#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "capf/domain/mode.h"

namespace capf {

/// Why the mode in effect may be lower than the profile's.
inline constexpr std::array kModeReasons{ModeReason::kSiteNonsecure,
                                         ModeReason::kRemoved,
                                         ModeReason::kBlocked,
                                         ModeReason::kNoCertificate,
                                         ModeReason::kCertificateExpired,
                                         ModeReason::kCertificateRevoked,
                                         ModeReason::kCertificateHeld};
/// Also "NONE".
std::optional<ModeReason> parse_mode_reason(std::string_view text);

struct ModeFigure {
  std::int64_t phones = 0;
  std::int64_t without_digest_user = 0;  ///< of those: they ask for digest, so they cannot register
};
/// Phones with another profile than the first one, by the mode that it asks for, and why that is not in effect.
using ModeFigures = std::map<std::pair<DeviceMode, ModeReason>, ModeFigure>;

/// Some of those phones, in the order of their profiles, by the facts that their mode depends on.
struct ModeCount {
  struct Place {
    std::int64_t profile_id = 0;
    std::int64_t phone_id = 0;
  };
  struct Group {
    ModeFacts facts;
    ModeFigure figure;
  };
  std::vector<Group> groups;
  Place last;  ///< of them
};

/// All phones, by their modes; every mode and every reason has a number.
struct PhoneModes {
  std::map<DeviceMode, std::int64_t> profile;
  std::map<DeviceMode, std::int64_t> effective;
  std::map<ModeReason, std::int64_t> not_in_effect;  ///< phones whose mode in effect is lower than their profile's
  std::int64_t without_digest_user = 0;              ///< as in ModeFigure
};
/// @param phones in all
PhoneModes phone_modes(const ModeFigures& figures, std::int64_t phones);

}  // namespace capf
