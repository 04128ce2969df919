#include "capf/domain/trust_role.h"

#include <algorithm>

namespace capf {

std::string_view to_string(TrustRole role) {
  switch (role) {
    case TrustRole::kSast: return "sast";
    case TrustRole::kCcm: return "ccm";
    case TrustRole::kCcmTftp: return "ccm+tftp";
    case TrustRole::kTftp: return "tftp";
    case TrustRole::kCapf: return "capf";
    case TrustRole::kAppServer: return "app-server";
    case TrustRole::kTvs: return "tvs";
  }
  return "";
}

std::optional<TrustRole> parse_trust_role(std::string_view text) {
  const auto found =
      std::find_if(kTrustRoles.begin(), kTrustRoles.end(), [&](TrustRole role) { return to_string(role) == text; });
  return found == kTrustRoles.end() ? std::nullopt : std::optional(*found);
}

std::optional<TrustRole> trust_role_of(int code) {
  const auto found = std::find_if(kTrustRoles.begin(), kTrustRoles.end(),
                                  [code](TrustRole role) { return static_cast<int>(role) == code; });
  return found == kTrustRoles.end() ? std::nullopt : std::optional(*found);
}

bool has_role(const TrustRoles& roles, TrustRole role) {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

}  // namespace capf
