#include "capf/service/renewals.h"

#include <algorithm>
#include <map>
#include <utility>

#include "capf/domain/phone_store.h"
#include "capf/domain/profile_store.h"
#include "capf/service/in_effect.h"
#include "capf/service/scheduling.h"

namespace capf::service {
namespace {

constexpr std::chrono::hours kLongestOperation{24 * 90};

/// The result of a look at some phones.
struct Plan {
  std::vector<std::pair<std::int64_t, std::optional<TimePoint>>> looks;
  std::vector<RenewalPhone> waiting;  ///< also those that are released
  std::vector<RenewalTimes> times;    ///< of each
  std::vector<std::int64_t> released;
  std::map<std::int64_t, Terms> terms;  ///< of each released one
  std::vector<std::int64_t> late;
  std::vector<std::int64_t> left;
  std::vector<std::int64_t> expired;
  std::map<Reason, std::vector<std::int64_t>> refused;
};

Terms terms_for(const RenewalPhone& phone, const EffectiveSettings& settings, TimePoint now) {
  Terms terms = renewal_terms(phone.key, settings, now);
  terms.completes_by = std::min<TimePoint>(phone.view.not_after, now + kLongestOperation);
  terms.owners[Term::kCompletesBy] = TermOwner::kFormer;
  return terms;
}

void add_to(Plan& plan, const RenewalPhone& phone, const RenewalStep& step) {
  using Kind = RenewalStep::Kind;
  plan.looks.emplace_back(phone.id, step.look_at);
  const bool waits = phone.view.state == CampaignPhoneState::kWaiting || phone.view.state == CampaignPhoneState::kLate;
  switch (step.kind) {
    case Kind::kWait: return;
    case Kind::kRelease: plan.released.push_back(phone.id); [[fallthrough]];
    case Kind::kPlan:
      plan.waiting.push_back(phone);
      plan.times.push_back(step.times);
      return;
    case Kind::kLate:
      if (!waits) {  // nothing can be scheduled for it, so it is late among those that wait
        plan.waiting.push_back(phone);
        plan.times.push_back(step.times);
      }
      plan.late.push_back(phone.id);
      return;
    case Kind::kLeave:
      if (waits) plan.left.push_back(phone.id);
      return;
    case Kind::kExpired: plan.expired.push_back(phone.id); return;
  }
}

/// Looks at each phone with what is in effect of it. @param ids all of those that were asked for
Result<Plan> plan_for(Transaction& tx, const SitePolicy& policy, std::span<const std::int64_t> ids) {
  CAPF_LET(const auto phones, tx.campaigns().renewals(ids));
  CAPF_LET(const auto profiled, tx.profiles().phones(ids, false));
  std::map<std::int64_t, const ProfiledPhone*> settings_of;
  for (const ProfiledPhone& each : profiled) settings_of.emplace(each.id, &each);
  SettingsInEffect in_effect(tx, policy);
  Plan plan;
  std::map<std::int64_t, bool> seen;
  for (const RenewalPhone& found : phones) {
    const auto its = settings_of.find(found.id);
    if (its == settings_of.end()) return fail(Reason::kChangedMeanwhile);
    CAPF_LET(const auto effective, in_effect.of(*its->second));
    RenewalPhone phone = found;
    phone.view.scheduled = effective.settings->renewal() == Renewal::kScheduled;
    phone.view.percent = effective.settings->renewal_from_percent();
    RenewalStep step = next_step(phone.view, tx.now());
    if (step.kind == RenewalStep::Kind::kRelease) {
      const Terms terms = terms_for(phone, *effective.settings, tx.now());
      const Status can = check_terms(OperationKind::kInstall, terms, effective.mode, *effective.settings,
                                     Role::kOperator, phone.view.device.text());
      if (can) {
        plan.terms.emplace(phone.id, terms);
      } else {
        const bool late = tx.now() >= step.times.late;
        if (!late) plan.refused[can.error().reason].push_back(phone.id);
        step.kind = late ? RenewalStep::Kind::kLate : RenewalStep::Kind::kPlan;
      }
    }
    add_to(plan, phone, step);
    seen.emplace(phone.id, true);
  }
  // A phone that has no valid LSC any more is looked at when it has another one.
  for (const std::int64_t id : ids) {
    if (!seen.contains(id)) plan.looks.emplace_back(id, std::nullopt);
  }
  return plan;
}

Status release(Transaction& tx, Operations& operations, const Campaign& renewal, const Plan& plan) {
  if (plan.released.empty()) return {};
  CAPF_LET(const auto standings, tx.operations().standings(plan.released, {}));
  std::vector<Planned> planned;
  for (const Standing& standing : standings) {
    const auto terms = plan.terms.find(standing.phone_id);
    if (terms != plan.terms.end()) planned.push_back({standing, terms->second});
  }
  ScheduleBulk bulk;
  bulk.run = renewal.run;
  CAPF_LET(const auto scheduled, operations.schedule(tx, actor_of(renewal), bulk, std::move(planned)));
  ReleasedPhones released;
  for (const Scheduled& each : scheduled) {
    released.phones.push_back(each.operation.phone_id);
    released.operations.push_back(each.operation.id);
  }
  return tx.campaigns().release(renewal, released, std::nullopt);
}

Status end_all(Transaction& tx, const Campaign& renewal, const Plan& plan) {
  using State = CampaignPhoneState;
  const auto end = [&](const std::vector<std::int64_t>& phones, State state, std::optional<Reason> reason) -> Status {
    return phones.empty() ? Status() : tx.campaigns().end(renewal, phones, state, reason);
  };
  CAPF_TRY(end(plan.late, State::kLate, std::nullopt));
  CAPF_TRY(end(plan.left, State::kCancelled, std::nullopt));
  CAPF_TRY(end(plan.expired, State::kFailed, Reason::kCertificateExpired));
  for (const auto& [reason, phones] : plan.refused) CAPF_TRY(end(phones, State::kSkipped, reason));
  return {};
}

}  // namespace

Actor actor_of(const Campaign& campaign) { return {ActorKind::kSystem, "campaign " + campaign.name, ""}; }

Result<RenewalsLooked> look_at_renewals(Transaction& tx, Operations& operations, const SitePolicy& policy,
                                        const Campaign& renewal, int limit) {
  CAPF_LET(const auto ids, tx.campaigns().looks(limit));
  if (ids.empty()) return RenewalsLooked{};
  CAPF_TRY(tx.phones().lock_all(ids));
  CAPF_LET(const Plan plan, plan_for(tx, policy, ids));
  if (!plan.waiting.empty()) CAPF_TRY(tx.campaigns().plan(plan.waiting, plan.times));
  CAPF_TRY(release(tx, operations, renewal, plan));
  CAPF_TRY(end_all(tx, renewal, plan));
  CAPF_TRY(tx.campaigns().set_looks(plan.looks));
  return RenewalsLooked{static_cast<int>(ids.size()), static_cast<int>(plan.terms.size())};
}

}  // namespace capf::service
