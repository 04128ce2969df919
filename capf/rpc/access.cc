#include "capf/rpc/access.h"

#include <algorithm>
#include <map>
#include <optional>

#include <google/protobuf/descriptor.h>

#include "capf/v1/access.pb.h"

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

std::optional<Callers> callers_of(v1::Access::Caller caller) {
  switch (caller) {
    case v1::Access::PHONE: return Callers::kPhones;
    case v1::Access::ADMIN: return Callers::kAdmin;
    case v1::Access::OPERATOR: return Callers::kOperator;
    case v1::Access::AUDITOR: return Callers::kAuditor;
    case v1::Access::MONITOR: return Callers::kMonitor;
    case v1::Access::EVERYBODY: return Callers::kEverybody;
    default: return {};
  }
}

std::optional<Effect> effect_of(v1::Access::Effect effect) {
  switch (effect) {
    case v1::Access::READS: return Effect::kReads;
    case v1::Access::TAKES_BACK: return Effect::kTakesBack;
    case v1::Access::CHANGES: return Effect::kChanges;
    default: return {};
  }
}

tl::unexpected<Error> faulty(const std::string& method, const std::string& fault) {
  return fail(Reason::kInternal, "the method " + method + ' ' + fault);
}

Result<Access> access_of(const google::protobuf::MethodDescriptor& descriptor) {
  const std::string method = descriptor.service()->full_name() + '/' + descriptor.name();
  if (!descriptor.options().HasExtension(v1::access)) return faulty(method, "has no option (capf.v1.access)");
  const v1::Access& option = descriptor.options().GetExtension(v1::access);
  if (option.action().empty()) return faulty(method, "has an option without an action");
  const std::optional<Effect> effect = effect_of(option.effect());
  if (!effect) return faulty(method, "has an option without an effect, or with an unknown one");
  if (option.callers().empty()) return faulty(method, "has an option without a caller");
  Callers callers{};
  for (int i = 0; i < option.callers_size(); ++i) {
    const std::optional<Callers> caller = callers_of(option.callers(i));
    if (!caller) return faulty(method, "has an option with an unknown caller");
    if (includes(callers, *caller)) return faulty(method, "has an option that names a caller twice");
    callers = callers | *caller;
  }
  if (includes(callers, Callers::kPhones) && option.callers_size() > 1) {
    return faulty(method, "has an option that names a phone beside a role");
  }
  return Access{method, callers, option.action(), *effect};
}

/// The order of the rows: by length first, because the paths of a service begin alike.
bool comes_before(std::string_view a, std::string_view b) { return a.size() != b.size() ? a.size() < b.size() : a < b; }

}  // namespace

Result<AccessTable> AccessTable::read(const google::protobuf::DescriptorPool& pool,
                                      std::span<const char* const> services) {
  std::vector<Access> rows;
  std::map<std::string, std::string> methods;  // by action
  for (const std::string service : services) {
    const google::protobuf::ServiceDescriptor* descriptor = pool.FindServiceByName(service);
    if (descriptor == nullptr) return fail(Reason::kInternal, "there is no service " + service);
    for (int i = 0; i < descriptor->method_count(); ++i) {
      CAPF_LET(Access access, access_of(*descriptor->method(i)));
      const auto [other, is_new] = methods.try_emplace(access.action, access.method);
      if (!is_new)
        return faulty(access.method, "has the action " + access.action + ", which is that of " + other->second);
      rows.push_back(std::move(access));
    }
  }
  std::ranges::sort(rows, comes_before, &Access::method);
  return AccessTable(std::move(rows));
}

const Access* AccessTable::find(std::string_view method) const {
  const auto row = std::ranges::lower_bound(rows_, method, comes_before, &Access::method);
  return row != rows_.end() && row->method == method ? &*row : nullptr;
}

Status may_call(const Access& access, Role role) {
  if (includes(access.callers, callers_of(role))) return {};
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
