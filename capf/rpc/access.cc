#include "capf/rpc/access.h"

#include <string>

namespace capf::rpc {
namespace {

constexpr Callers callers_of(Role role) {
  switch (role) {
    case Role::kAdmin: return Callers::kAdmin;
    case Role::kOperator: return Callers::kOperator;
    case Role::kAuditor: return Callers::kAuditor;
    case Role::kMonitor: return Callers::kMonitor;
  }
  CAPF_INVARIANT(false);
}

}  // namespace

Status may_call(std::string_view method, Role role) {
  const Access* row = find_access(method);
  if (row != nullptr && includes(row->callers, callers_of(role))) return {};
  return fail(Reason::kRoleDenied, "the role " + std::string(to_string(role)) + " does not allow this");
}

Status may_change(Effect effect, const Standing& state) {
  if (effect == Effect::kReads) return {};
  if (!state.level && !state.on_machine) {
    return fail(Reason::kRecoveryWordRequired,
                std::string(words(Reason::kRecoveryWordRequired)) + "; " + state.level.error().message);
  }
  return effect == Effect::kChanges ? state.clock : Status();
}

Status may_schedule(Role role, AuthMode auth) {
  if (auth != AuthMode::kNull || role == Role::kAdmin) return {};
  return fail(Reason::kRoleDenied, "scheduling with null string needs the role admin");
}

}  // namespace capf::rpc
