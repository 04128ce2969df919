#include "capf/domain/audit.h"

namespace capf {

std::string_view to_string(ActorKind kind) {
  switch (kind) {
    case ActorKind::kAdministrator: return "administrator";
    case ActorKind::kDevice: return "device";
    case ActorKind::kSystem: return "system";
  }
  CAPF_INVARIANT(false);
}

std::optional<ActorKind> parse_actor_kind(std::string_view text) {
  if (text == "administrator") return ActorKind::kAdministrator;
  if (text == "device") return ActorKind::kDevice;
  if (text == "system") return ActorKind::kSystem;
  return std::nullopt;
}

}  // namespace capf
