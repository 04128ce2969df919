#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "capf/base/bytes.h"
#include "capf/base/time.h"

namespace capf {

/// The right of an administrator to call methods; the options in `proto/capf/v1` are the table of methods.
enum class Role : std::uint8_t {
  kAdmin,     ///< everything
  kOperator,  ///< phones, operations, certificates
  kAuditor,   ///< reads everything, the audit too
  kMonitor,   ///< the methods that monitoring polls
};
inline constexpr std::array kRoles{Role::kAdmin, Role::kOperator, Role::kAuditor, Role::kMonitor};
std::string_view to_string(Role role);
std::optional<Role> parse_role(std::string_view text);

/// How long a certificate counts beside its successor.
inline constexpr std::chrono::hours kFormerCertificateCounts{24};

/// 1 to 64 letters, digits, '.', '_', '-' or '@', a letter or digit first. Errors: INVALID_NAME.
Status check_administrator_name(std::string_view name);

/// One certificate of an administrator: a renewed one, or one of an administrator who was disabled, stays on record.
struct Administrator {
  std::string name;
  Role role = Role::kMonitor;
  Sha256 certificate_sha256{};  ///< by which they are recognised
  TimePoint certificate_not_after;
  TimePoint created_at;
  std::string created_by;
  std::optional<TimePoint> disabled_at;
  /// Of a certificate that has a successor: it is refused from then on. Absent: the current one of its name.
  std::optional<TimePoint> ends_at{};
};

}  // namespace capf
