#include "capf/domain/key.h"

#include "capf/base/error.h"

namespace capf {

std::string_view to_string(KeyOwner owner) {
  switch (owner) {
    case KeyOwner::kPhone: return "phone";
    case KeyOwner::kMic: return "mic";
    case KeyOwner::kIssuer: return "issuer";
    case KeyOwner::kSite: return "site";
    case KeyOwner::kAdministrator: return "administrator";
    case KeyOwner::kBlocked: return "blocked";
  }
  CAPF_INVARIANT(false);
}

std::optional<KeyOwner> parse_key_owner(std::string_view text) {
  for (const KeyOwner owner : {KeyOwner::kPhone, KeyOwner::kMic, KeyOwner::kIssuer, KeyOwner::kSite,
                               KeyOwner::kAdministrator, KeyOwner::kBlocked}) {
    if (to_string(owner) == text) return owner;
  }
  return std::nullopt;
}

}  // namespace capf
