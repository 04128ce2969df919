#include "capf/service/records.h"

#include "capf/base/log.h"
#include "capf/service/steps.h"

namespace capf::service {

Result<std::vector<AuditEvent>> Records::list(const AuditFilter& filter, const Page& page) {
  return in_read(database_, [&](Transaction& tx) { return tx.audit().list(filter, page); });
}

Result<std::vector<RefusalCount>> Records::refusals(std::optional<TimePoint> since, int limit) {
  return in_read(database_, [&](Transaction& tx) {
    return tx.audit().refusals(since.value_or(tx.now() - std::chrono::hours{24}), limit);
  });
}

void Records::refused(const Actor& actor, const std::string& action, const Error& error) {
  const Status recorded = database_.write([&](Transaction& tx) {
    AuditEvent event = done(actor, action, actor.name, error.message);
    event.outcome = "refused";
    event.reason = error.reason;
    return tx.audit().add(event);
  });
  if (!recorded) log_error("record.failed", {{"cause", recorded.error().cause}});
}

void Records::refused_stranger(const Address& address, const Error& error) {
  const Status recorded =
      database_.write([&](Transaction& tx) { return tx.audit().count_refusal(address.block(), error.reason, ""); });
  if (!recorded) log_error("record.failed", {{"cause", recorded.error().cause}});
}

}  // namespace capf::service
