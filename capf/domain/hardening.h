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

/// What the hardening settings are in a phone's file, of those that somebody has decided. Flags of which 0 is *on* are
/// known nowhere else. Source: specs/phone-files.md 7.1.
std::vector<HardeningFlag> hardening_flags(const EffectiveSettings& settings);

}  // namespace capf
