#include "capf/service/scheduling.h"

#include <algorithm>

#include "capf/domain/anchor_store.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/phone_store.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr std::chrono::minutes kNearestDeadline{1};
constexpr std::chrono::hours kFarthestDeadline{24 * 90};
constexpr std::size_t kLookedUp = 20;  // unknown names of which another spelling is looked for

Problem problem_of(const Standing& phone, Reason reason, const char* words) {
  return {phone.device.text(), reason, phone.device.text() + words};
}

}  // namespace

Sorted sort_to_schedule(std::span<const Standing> phones, bool replace) {
  Sorted sorted;
  for (const Standing& phone : phones) {
    if (phone.scheduled) {
      sorted.done.push_back(phone);
    } else if (phone.blocked) {
      sorted.problems.push_back(problem_of(phone, Reason::kDeviceBlocked, " is blocked"));
    } else if (phone.open && !replace) {
      sorted.problems.push_back(problem_of(phone, Reason::kOperationPending, " has an open operation already"));
    } else {
      sorted.wanted.push_back(phone);
    }
  }
  return sorted;
}

Sorted sort_to_cancel(std::span<const Standing> phones) {
  Sorted sorted;
  for (const Standing& phone : phones) {
    if (phone.open) {
      sorted.wanted.push_back(phone);
    } else if (phone.cancelled) {
      sorted.done.push_back(phone);
    } else {
      sorted.problems.push_back(problem_of(phone, Reason::kNoPendingOperation, " has no open operation"));
    }
  }
  return sorted;
}

std::vector<std::int64_t> ids_of(std::span<const Standing> phones) {
  std::vector<std::int64_t> ids;
  for (const Standing& phone : phones) ids.push_back(phone.phone_id);
  return ids;
}

std::vector<std::int64_t> operations_of(std::span<const Standing> phones) {
  std::vector<std::int64_t> ids;
  for (const Standing& phone : phones) ids.push_back(phone.operation_id);
  return ids;
}

Status add_unknown(Transaction& tx, std::span<const DeviceName> missing, Sorted& sorted) {
  for (std::size_t i = 0; i < missing.size(); ++i) {
    std::string words = "there is no device " + missing[i].text();
    if (i < kLookedUp) {
      CAPF_LET(const std::string other, name_in_other_case(tx, missing[i]));
      words += other;
    }
    sorted.problems.push_back({missing[i].text(), Reason::kUnknownDevice, std::move(words)});
  }
  std::sort(sorted.problems.begin(), sorted.problems.end(),
            [](const Problem& a, const Problem& b) { return a.device < b.device; });
  return {};
}

Status check_problems(std::span<const Problem> problems, const std::set<Reason>& skipped, const std::string& before) {
  const auto counts = [&](const Problem& problem) { return !skipped.contains(problem.reason); };
  const auto first = std::find_if(problems.begin(), problems.end(), counts);
  if (first == problems.end()) return {};
  const auto more = std::count_if(first + 1, problems.end(), counts);
  return fail(first->reason,
              before + first->message + (more > 0 ? "; " + std::to_string(more) + " more cannot be done" : ""));
}

Result<TimePoint> deadline_of(const OperationPlan& plan, TimePoint now) {
  const TimePoint completes_by = plan.completes_by.value_or(now + kDefaultDeadline);
  if (completes_by < now + kNearestDeadline || completes_by > now + kFarthestDeadline) {
    return fail(Reason::kInvalidDeadline);
  }
  if (plan.auth != AuthMode::kNull) return completes_by;
  return std::min<TimePoint>(completes_by, now + kNullStringLifetime);
}

std::optional<std::string> null_string_warning(const OperationPlan& plan, TimePoint completes_by) {
  if (plan.auth != AuthMode::kNull) return std::nullopt;
  return "null string proves nothing: whoever calls from a null-string network first gets the certificate, until " +
         to_rfc3339(completes_by);
}

Result<Prospects> look_up_prospects(Transaction& tx, const OperationPlan& plan,
                                    std::span<const std::int64_t> phone_ids) {
  Prospects prospects{plan.kind, plan.auth, {}, {}, tx.now()};
  const bool by_certificate = plan.auth == AuthMode::kLsc || plan.auth == AuthMode::kMic;
  if (!by_certificate && plan.kind != OperationKind::kDelete) return prospects;
  CAPF_LET(const std::vector<std::int64_t> found, tx.certificates().phones_with_lsc(phone_ids));
  prospects.with_lsc.insert(found.begin(), found.end());
  CAPF_LET(prospects.anchors, tx.anchors().list());
  return prospects;
}

Status cancel_open(Transaction& tx, const Actor& actor, std::span<const Standing> phones, const std::string& message,
                   BytesView run) {
  std::vector<std::int64_t> ids;
  std::vector<SelectedPhone> with_several;
  for (const Standing& phone : phones) {
    if (!phone.open) continue;
    ids.push_back(phone.phone_id);
    if (phone.certificates > 1) with_several.push_back({phone.phone_id, phone.device});
  }
  if (ids.empty()) return {};
  CAPF_LET(std::vector<rules::Draft> drafts, drafts_of(tx, actor, with_several));
  for (rules::Draft& draft : drafts) rules::revoke_earlier(draft);
  CAPF_TRY(write(tx, drafts));
  CAPF_TRY(cancel_all(tx, actor, ids, message, run));
  return {};
}

}  // namespace capf::service
