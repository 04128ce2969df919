#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capf/base/error.h"
#include "capf/domain/administrator.h"
#include "capf/domain/operation.h"

namespace google::protobuf {
class DescriptorPool;
}

namespace capf::rpc {

/// The callers of a method: phones (authenticated by the service layer), administrators with one of some roles, or
/// everybody.
enum class Callers : std::uint8_t {
  kPhones = 1,
  kAdmin = 2,
  kOperator = 4,
  kAuditor = 8,
  kMonitor = 16,
  kEverybody = 31,
};
constexpr Callers operator|(Callers a, Callers b) {
  return static_cast<Callers>(static_cast<std::uint8_t>(a) | static_cast<std::uint8_t>(b));
}
constexpr bool includes(Callers callers, Callers one) {
  return (static_cast<std::uint8_t>(callers) & static_cast<std::uint8_t>(one)) != 0;
}

/// kTakesBack also changes something, but is safe while a clock is wrong.
enum class Effect : std::uint8_t { kReads, kTakesBack, kChanges };

struct Access {
  std::string method;  ///< as in the call's path: "capf.v1.AdminService/AddPhones"
  Callers callers;
  std::string action;  ///< as in the audit record: "phone.add"
  Effect effect;

  /// "AdminService/AddPhones"
  std::string_view short_name() const { return std::string_view(method).substr(method.rfind('.') + 1); }
};

/// The services of both ports, all of whose calls pass the guard.
inline constexpr std::array kGuardedServices{"capf.v1.PhoneService", "capf.v1.AdminService", "capf.v1.MonitorService",
                                             "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"};

/// Method x caller: the one table. The options of the methods in the .proto files say it (capf/v1/access.proto).
class AccessTable {
 public:
  /// Errors: INTERNAL, with a sentence that names the method which has no option or one that contradicts itself or
  /// another one's.
  static Result<AccessTable> read(const google::protobuf::DescriptorPool& pool, std::span<const char* const> services);

  /// @return null for a method that is not in the table: it is refused. Does not allocate.
  const Access* find(std::string_view method) const;
  std::span<const Access> rows() const { return rows_; }

 private:
  explicit AccessTable(std::vector<Access> rows) : rows_(std::move(rows)) {}

  std::vector<Access> rows_;  // in the order that find() searches
};

/// The path of a handler's method, which the compiler puts together.
class Method {
 public:
  /// @param service with the slash; @param function of the same name as the method: __func__
  consteval Method(std::string_view service, std::string_view function) {
    for (const std::string_view part : {service, function}) {
      for (const char c : part) path_.at(size_++) = c;
    }
  }
  constexpr std::string_view path() const { return {path_.data(), size_}; }

 private:
  std::array<char, 96> path_{};
  std::size_t size_ = 0;
};

/// ROLE_DENIED unless the role may call the method.
Status may_call(const Access& access, Role role);
/// The state of the site at the time of a change.
struct Standing {
  Status clock;             ///< CLOCK_SKEW where a clock may be wrong
  Status level;             ///< DATABASE_BEHIND where the database was set back
  bool on_machine = false;  ///< the caller knows the recovery word in this server's state directory
};
/// While a clock is wrong, only methods that take something back may change the site. A restored database may name
/// administrators who were dismissed since; so while it is behind, a change also needs access to the machine.
/// Errors: RECOVERY_WORD_REQUIRED, CLOCK_SKEW.
Status may_change(Effect effect, const Standing& state);
/// Only the role admin may schedule with null string. Errors: ROLE_DENIED.
Status may_schedule(Role role, AuthMode auth);

}  // namespace capf::rpc
