#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "capf/domain/line.h"

// A line that has an encrypted device has encrypted devices alone: a call to it rings at all of them. A line whose
// devices are all below encrypted is nobody's concern. Source: specs, "Shared lines".

namespace capf::rules {

/// New modes: for these phones, or for those of a profile. A change of nothing judges what is.
struct LineChange {
  std::set<std::int64_t> phones{};
  std::int64_t profile_id = 0;  ///< 0: of none
  DeviceMode next = DeviceMode::kNonsecure;
};

/// A line with both, each in the order of the members.
struct MixedLine {
  Line line;
  std::vector<DeviceName> encrypted{};
  std::vector<DeviceName> others{};
};

/// Judges a line by the modes that profiles ask for. @return nothing where it would not be mixed
std::optional<MixedLine> mixture(const Line& line, std::span<const LineMember> members, const LineChange& change = {});
/// Whether the modes in effect are mixed, which nobody can refuse: an LSC that has ended mixes a line.
bool is_mixed_in_effect(std::span<const LineMember> members);

}  // namespace capf::rules
