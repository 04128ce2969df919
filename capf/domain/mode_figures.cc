#include "capf/domain/mode_figures.h"

#include <algorithm>

namespace capf {

std::optional<ModeReason> parse_mode_reason(std::string_view text) {
  if (text == to_string(ModeReason::kNone)) return ModeReason::kNone;
  const auto found = std::find_if(kModeReasons.begin(), kModeReasons.end(),
                                  [&](ModeReason reason) { return text == to_string(reason); });
  if (found == kModeReasons.end()) return std::nullopt;
  return *found;
}

PhoneModes phone_modes(const ModeFigures& figures, std::int64_t phones) {
  PhoneModes modes;
  for (const DeviceMode mode : kDeviceModes) modes.profile[mode] = modes.effective[mode] = 0;
  for (const ModeReason reason : kModeReasons) modes.not_in_effect[reason] = 0;
  std::int64_t rest = phones;
  for (const auto& [key, figure] : figures) {
    const auto& [mode, reason] = key;
    modes.profile[mode] += figure.phones;
    modes.effective[reason == ModeReason::kNone ? mode : DeviceMode::kNonsecure] += figure.phones;
    if (reason != ModeReason::kNone) modes.not_in_effect[reason] += figure.phones;
    modes.without_digest_user += figure.without_digest_user;
    rest -= figure.phones;
  }
  // Phones may have been removed since the others were counted.
  rest = std::max<std::int64_t>(rest, 0);
  modes.profile[DeviceMode::kNonsecure] += rest;
  modes.effective[DeviceMode::kNonsecure] += rest;
  return modes;
}

}  // namespace capf
