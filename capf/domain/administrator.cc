#include "capf/domain/administrator.h"

#include <algorithm>

namespace capf {

std::string_view to_string(Role role) {
  switch (role) {
    case Role::kAdmin: return "admin";
    case Role::kOperator: return "operator";
    case Role::kAuditor: return "auditor";
    case Role::kMonitor: return "monitor";
  }
  CAPF_INVARIANT(false);
}

std::optional<Role> parse_role(std::string_view text) {
  const auto found = std::find_if(kRoles.begin(), kRoles.end(), [&](Role role) { return to_string(role) == text; });
  if (found == kRoles.end()) return std::nullopt;
  return *found;
}

Status check_administrator_name(std::string_view name) {
  const auto alphanumeric = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  const auto accepted = [&](char c) { return alphanumeric(c) || c == '.' || c == '_' || c == '-' || c == '@'; };
  if (name.empty() || name.size() > 64 || !alphanumeric(name.front()) ||
      !std::all_of(name.begin(), name.end(), accepted)) {
    return fail(Reason::kInvalidName);
  }
  return {};
}

}  // namespace capf
