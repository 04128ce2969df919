#pragma once

#include <string_view>
#include <vector>

#include "capf/domain/setting.h"

namespace capf {

/// An element of a phone's vendorConfig and the text in it.
struct HardeningFlag {
  std::string_view element;
  std::string_view text;

  bool operator==(const HardeningFlag&) const = default;
};

/// The flags of the hardening settings that somebody has decided. This is the one place that knows which flags have 0
/// for *on*. Source: specs/phone-files.md 7.1.
std::vector<HardeningFlag> hardening_flags(const EffectiveSettings& settings);

}  // namespace capf
