#include "capf/service/records.h"

#include <algorithm>

#include "capf/base/log.h"
#include "capf/service/steps.h"

namespace capf::service {

Result<std::vector<AuditEvent>> Records::list(const AuditFilter& filter, const Page& page) {
  return in_read(database_, [&](Transaction& tx) { return tx.audit().list(filter, page); });
}

Result<std::vector<RefusalCount>> Records::refusals(const AuditFilter& filter, const Page& page) {
  if (filter.actor || filter.action) {
    return fail(Reason::kInvalidRequest,
                "refusals of strangers are counted by address, device and reason: they have no actor and no action");
  }
  return in_read(database_, [&](Transaction& tx) {
    return tx.audit().refusals(filter.since.value_or(tx.now() - std::chrono::hours{24}), filter.subject, page);
  });
}

Result<SealedPage> Records::seals(std::int64_t after) {
  constexpr int kSealsAtOnce = 50;
  return in_read(database_, [&](Transaction& tx) -> Result<SealedPage> {
    SealedPage page;
    CAPF_LET(const auto before, tx.seals().find(after));
    ChangeCursor place = before ? before->last : ChangeCursor{};
    CAPF_LET(const auto seals, tx.seals().list(after, kSealsAtOnce));
    int events = 0;
    for (const AuditSeal& seal : seals) {
      events += seal.events;
      if (!page.batches.empty() && events > kLargestBatch) break;
      const int limit = std::min(seal.events, kLargestBatch) + 1;
      CAPF_LET(const auto placed, tx.seals().events(place, seal.last, limit));
      SealedBatch batch{seal, {}};
      for (const PlacedRecord& event : placed) batch.events.push_back(event.record);
      page.batches.push_back(std::move(batch));
      place = seal.last;
    }
    if (page.batches.empty()) {
      CAPF_LET(page.unsealed, tx.seals().after(place));
    }
    return page;
  });
}

void Records::refused(const Actor& actor, const std::string& action, const std::string& subject, const Error& error) {
  const Status recorded = database_.write([&](Transaction& tx) {
    AuditEvent event = done(actor, action, subject.empty() ? actor.name : subject, error.message);
    event.outcome = "refused";
    event.reason = error.reason;
    return tx.audit().add(event);
  });
  if (!recorded) log_error("record.failed", {{"cause", recorded.error().cause}});
}

void Records::refused_stranger(const Address& address, const Error& error) {
  const Status recorded =
      database_.write([&](Transaction& tx) { return tx.audit().count_refusal(address.block(), error.reason, ""); });
  if (!recorded && recorded.error().reason != Reason::kDatabaseReadOnly)
    log_error("record.failed", {{"cause", recorded.error().cause}});
}

}  // namespace capf::service
