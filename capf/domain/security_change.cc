#include "capf/domain/security_change.h"

#include <algorithm>
#include <array>

namespace capf {
namespace {

constexpr std::array<std::string_view, 4> kWords{"mode_changed", "certificate_withdrawn", "certificate_released",
                                                 "digest_user_changed"};

}  // namespace

std::string_view to_string(SecurityChangeKind kind) { return kWords.at(static_cast<std::size_t>(kind)); }

std::optional<SecurityChangeKind> parse_security_change_kind(std::string_view text) {
  const auto found = std::find(kWords.begin(), kWords.end(), text);
  if (found == kWords.end()) return std::nullopt;
  return static_cast<SecurityChangeKind>(found - kWords.begin());
}

}  // namespace capf
