#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "capf/base/time.h"

namespace capf {

enum class ActorKind : std::uint8_t { kAdministrator, kDevice, kSystem };
std::string_view to_string(ActorKind kind);
std::optional<ActorKind> parse_actor_kind(std::string_view text);

/// The author of an act, and where it came from.
struct Actor {
  ActorKind kind = ActorKind::kSystem;
  std::string name;     ///< the administrator's or the device's
  std::string address;  ///< empty for the system
  /// Whether the caller has gone, so that the act is given up before it is committed; may be empty.
  std::function<bool()> gone{};
};

/// One line of the record. Written in the transaction of the change; never changed afterwards.
struct AuditEvent {
  std::int64_t id = 0;  ///< given by the store
  TimePoint at;         ///< given by the store: the database's clock
  Actor actor;
  std::string action;             ///< object and verb: "operation.schedule", "certificate.issue"
  std::string subject;            ///< the device, administrator, anchor or issuer that it is about
  std::int64_t operation_id = 0;  ///< 0 where there is none
  std::string outcome = "done";   ///< "done" or "refused"
  std::optional<Reason> reason;   ///< why it was refused, or why the operation ended
  std::string detail;             ///< for people, one line, without secrets
};

/// Refusals before authentication, counted: one row a minute for address block, reason and device.
struct RefusalCount {
  TimePoint minute;
  std::string address_block;
  Reason reason = Reason::kInternal;
  std::string device;  ///< empty for names that are not known
  std::int64_t count = 0;
};

}  // namespace capf
