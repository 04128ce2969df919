#include "capf/service/records.h"

#include <algorithm>
#include <iterator>

#include "capf/base/log.h"
#include "capf/ca/audit.h"
#include "capf/domain/seal_store.h"
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
    const TimePoint since = filter.since.value_or(tx.now() - std::chrono::hours{24});
    return tx.audit().refusals(since, filter.until, filter.subject, page);
  });
}

Result<SealedPage> Records::seals(std::int64_t after) {
  constexpr int kSealsAtOnce = 50;
  return in_read(database_, [&](Transaction& tx) -> Result<SealedPage> {
    SealedPage page;
    CAPF_LET(const auto key, tx.seals().key());
    // A made-up seal covers no events: they follow those of the good seal before.
    const auto is_good = [&](const AuditSeal& seal) { return !key || ca::is_good(*key, seal); };
    CAPF_LET(auto before, tx.seals().find(after));
    while (before && !is_good(*before)) {
      CAPF_LET(before, tx.seals().find(before->number - 1));
    }
    ChangeCursor place = before ? before->last : ChangeCursor{};
    CAPF_LET(const auto seals, tx.seals().list(after, kSealsAtOnce));
    std::vector<SealRemark> remarks;
    if (!seals.empty()) {
      CAPF_LET(remarks, tx.seals().remarks(seals.front().number, seals.back().number));
    }
    int events = 0;
    for (const AuditSeal& seal : seals) {
      SealedBatch batch{seal, {}, {}};
      std::copy_if(remarks.begin(), remarks.end(), std::back_inserter(batch.remarks),
                   [&](const SealRemark& remark) { return remark.number == seal.number; });
      if (is_good(seal)) {
        events += seal.events;
        if (!page.batches.empty() && events > kLargestBatch) break;
        const int limit = std::min(seal.events, kLargestBatch) + 1;
        CAPF_LET(const auto placed, tx.seals().events(place, seal.last, limit));
        for (const PlacedRecord& event : placed) batch.events.push_back(event.record);
        place = seal.last;
      }
      page.batches.push_back(std::move(batch));
    }
    if (page.batches.empty()) {
      CAPF_LET(page.unsealed, tx.seals().after(place));
    }
    return page;
  });
}

void Records::refused(const Actor& actor, const std::string& action, const std::string& subject, const Error& error) {
  const auto recorded = in_write(database_, [&](Transaction& tx) {
    AuditEvent event = done(actor, action, subject.empty() ? actor.name : subject, error.message);
    event.outcome = "refused";
    event.reason = error.reason;
    return tx.audit().add_repeated(event);
  });
  if (!recorded) log_error("record.failed", {{"cause", recorded.error().cause}});
}

}  // namespace capf::service
