#include "capf/domain/policy.h"

#include <algorithm>

namespace capf {

std::vector<Pattern> usual_device_names() {
  std::vector<Pattern> patterns;
  for (const char* text : {"SEP*", "ATA*", "VGC*", "CSF*", "TCT*", "BOT*", "TAB*", "CIPC*", "DEMO*"}) {
    patterns.push_back(Pattern::parse(text).value());
  }
  return patterns;
}

Status check_device_name(const SitePolicy& policy, const DeviceName& device) {
  const auto& patterns = policy.device_names;
  const bool fits = std::any_of(patterns.begin(), patterns.end(),
                                [&](const Pattern& pattern) { return pattern.matches(device.text()); });
  if (fits) return {};
  std::string allowed;
  for (const Pattern& pattern : patterns) allowed += (allowed.empty() ? "" : ", ") + pattern.text();
  return fail(Reason::kDeviceNameRefused,
              device.text() + " is no name of this site's devices, which are " + allowed + " (policy.device_names)");
}

}  // namespace capf
