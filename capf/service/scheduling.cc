#include "capf/service/scheduling.h"

#include <algorithm>
#include <map>

#include "capf/domain/anchor_store.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/phone_store.h"
#include "capf/service/in_effect.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr std::chrono::minutes kNearestDeadline{1};
constexpr std::chrono::hours kFarthestDeadline{24 * 90};
constexpr std::size_t kLookedUp = 20;  // unknown names of which another spelling is looked for

Problem problem_of(const Standing& phone, Reason reason, const char* words) {
  return {phone.device.text(), reason, phone.device.text() + words};
}

void sort_by_name(std::vector<Problem>& problems) {
  std::sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) { return a.device < b.device; });
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
  sort_by_name(sorted.problems);
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

Status check_deadline(const std::optional<TimePoint>& completes_by, TimePoint now) {
  if (!completes_by || (*completes_by >= now + kNearestDeadline && *completes_by <= now + kFarthestDeadline)) return {};
  return fail(Reason::kInvalidDeadline);
}

Result<std::vector<Planned>> plan_terms(Transaction& tx, const SitePolicy& policy, const OperationPlan& plan,
                                        Sorted& sorted) {
  if (sorted.wanted.empty()) return std::vector<Planned>{};
  CAPF_LET(const auto found, tx.profiles().phones(ids_of(sorted.wanted), false));
  std::map<std::int64_t, const ProfiledPhone*> phones;
  for (const ProfiledPhone& each : found) phones.emplace(each.id, &each);
  SettingsInEffect in_effect(tx, policy);
  std::vector<Planned> planned;
  std::vector<Standing> wanted;
  for (Standing& phone : sorted.wanted) {
    const auto its = phones.find(phone.phone_id);
    if (its == phones.end()) return fail(Reason::kChangedMeanwhile);
    CAPF_LET(const auto effective, in_effect.of(*its->second));
    const Terms terms = terms_of(plan, *effective.settings, tx.now());
    const Status can =
        check_terms(plan.kind, terms, effective.mode, *effective.settings, plan.role, phone.device.text());
    if (!can) {
      sorted.problems.push_back({phone.device.text(), can.error().reason, can.error().message});
      continue;
    }
    planned.push_back({phone, terms});
    wanted.push_back(std::move(phone));
  }
  sorted.wanted = std::move(wanted);
  sort_by_name(sorted.problems);
  return planned;
}

std::vector<std::int64_t> ids_of(std::span<const Planned> phones) {
  std::vector<std::int64_t> ids;
  for (const Planned& each : phones) ids.push_back(each.phone.phone_id);
  return ids;
}

TimePoint latest(std::span<const Planned> phones, TimePoint now) {
  TimePoint end = now;
  for (const Planned& each : phones) end = std::max(end, each.terms.completes_by);
  return end;
}

std::optional<std::string> null_string_warning(std::span<const Planned> phones) {
  std::vector<Planned> by_null;
  std::copy_if(phones.begin(), phones.end(), std::back_inserter(by_null),
               [](const Planned& each) { return each.terms.auth == AuthMode::kNull; });
  if (by_null.empty()) return std::nullopt;
  return "null string proves nothing: whoever calls from a null-string network first gets the certificate, until " +
         to_rfc3339(latest(by_null, {}));
}

Result<Prospects> look_up_prospects(Transaction& tx, OperationKind kind, std::span<const Planned> phones) {
  Prospects prospects{kind, {}, {}, tx.now()};
  const bool by_certificate = std::any_of(phones.begin(), phones.end(), [](const Planned& each) {
    return each.terms.auth == AuthMode::kLsc || each.terms.auth == AuthMode::kMic;
  });
  if (!by_certificate && kind != OperationKind::kDelete) return prospects;
  CAPF_LET(const std::vector<std::int64_t> found, tx.certificates().phones_with_lsc(ids_of(phones)));
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
