#include "capf/service/campaign_rounds.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "capf/base/log.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/lease_store.h"
#include "capf/domain/phone_store.h"
#include "capf/service/campaigns.h"
#include "capf/service/lease.h"
#include "capf/service/renewals.h"
#include "capf/service/scheduling.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr int kEndsAtOnce = 5'000;
constexpr int kReleasedPerRound = 20'000;  ///< the others wait for the next minute
constexpr int kLooksAtOnce = 500;
constexpr int kLooksPerRound = 5'000;
constexpr int kCleanedPerRound = 20;  ///< transactions
constexpr std::chrono::hours kAbandoned{1};
constexpr std::chrono::hours kPhonesKept{24 * 90};

using State = CampaignPhoneState;

/// Phones whose open operation is the renewal's, which the campaign replaces. They stand as phones without one then.
std::vector<Standing> take_renewed(std::vector<Standing>& standings) {
  std::vector<Standing> renewed;
  for (Standing& each : standings) {
    if (each.open && each.scheduled) {
      renewed.push_back(each);
      each.open = false;
    }
    each.scheduled = false;
  }
  return renewed;
}

/// The phones that cannot be scheduled for, by why.
std::map<Reason, std::vector<std::int64_t>> problems_of(std::span<const SelectedPhone> phones, const Sorted& sorted) {
  std::map<std::string, Reason> reasons;
  for (const Problem& problem : sorted.problems) reasons.emplace(problem.device, problem.reason);
  std::set<std::int64_t> wanted;
  for (const Standing& each : sorted.wanted) wanted.insert(each.phone_id);
  std::map<Reason, std::vector<std::int64_t>> problems;
  for (const SelectedPhone& phone : phones) {
    if (wanted.contains(phone.id)) continue;
    const auto found = reasons.find(phone.device.text());
    problems[found == reasons.end() ? Reason::kUnknownDevice : found->second].push_back(phone.id);
  }
  return problems;
}

}  // namespace

/// The work's value; an empty one where another server has the lease.
template <class Work>
auto CampaignRounds::under_lease(Work work) {
  using Answer = std::invoke_result_t<Work&, Transaction&>;
  return in_write(database_, [&](Transaction& tx) -> Answer {
    CAPF_LET(const bool mine, tx.leases().take(kMaintenanceLease, holder_, kLeaseSeconds));
    if (!mine) return typename Answer::value_type{};
    CAPF_TRY(check_clock(tx, clock_));
    return work(tx);
  });
}

Result<CampaignRounds::Round> CampaignRounds::run() {
  Round round;
  CAPF_TRY(take_ends());
  CAPF_LET(round.late, mark_late());
  CAPF_LET(auto campaigns,
           in_read(database_, [](Transaction& tx) { return tx.campaigns().under_way(kMostCampaigns + 1); }));
  std::ranges::stable_sort(campaigns, {}, &Campaign::round_at);  // none was before every other
  Status outcome;
  for (const Campaign& campaign : campaigns) {
    if (campaign.id == kRenewalCampaign) renewal_run_ = campaign.run;
    if (campaign.state != CampaignState::kRunning) continue;
    // A round ends in time; whoever was left out comes first in the next one.
    if (round.released >= kReleasedPerRound && campaign.id != kRenewalCampaign) continue;
    const auto released = campaign.id == kRenewalCampaign ? renew() : run_one(campaign);
    if (released) {
      round.released += *released;
      continue;
    }
    log_warning("campaign.failed", released.error(), {{"campaign", campaign.name}});
    if (outcome) outcome = fail(released.error());
  }
  CAPF_TRY(clean());
  CAPF_TRY(outcome);
  return round;
}

Result<int> CampaignRounds::take_ends() {
  for (int taken = kEndsAtOnce, all = 0;; all += taken) {
    if (taken < kEndsAtOnce) return all;
    CAPF_LET(taken, under_lease([](Transaction& tx) { return tx.campaigns().take_ends(kEndsAtOnce); }));
  }
}

Result<int> CampaignRounds::mark_late() {
  int all = 0;
  for (int late = kEndsAtOnce; late == kEndsAtOnce; all += late) {
    CAPF_LET(late, under_lease([](Transaction& tx) { return tx.campaigns().mark_late(kEndsAtOnce); }));
  }
  return all;
}

Result<int> CampaignRounds::run_one(const Campaign& campaign) {
  CAPF_LET(const bool open, begin_round(campaign.id));
  int released = 0;
  for (bool more = open; more && released < kReleasedPerRound;) {
    CAPF_LET(const int some, release_some(campaign.id));
    released += some;
    more = some == kPhonesInBatch;
  }
  return released;
}

/// Judges the campaign, and lets its time go on. @return whether phones may be released
Result<bool> CampaignRounds::begin_round(std::int64_t id) {
  return under_lease([&](Transaction& tx) -> Result<bool> {
    CAPF_LET(auto campaign, tx.campaigns().lock(id));
    if (!campaign || campaign->state != CampaignState::kRunning) return false;
    CAPF_LET(const auto figures, tx.campaigns().figures(id, std::nullopt));
    CAPF_LET(const auto judged, tx.campaigns().figures(id, campaign->attempt));
    bool open = true;
    std::string event;
    if (count_in(figures, {State::kWaiting, State::kReleased, State::kLate}) == 0) {
      campaign->state = CampaignState::kFinished;
      campaign->ended_at = tx.now();
      event = "campaign.finish";
    } else if (auto why = reason_to_stop(campaign->terms.stop_at_percent, judged)) {
      campaign->state = CampaignState::kStopped;
      campaign->why = *std::move(why);
      event = "campaign.stop";
      log_warning("campaign.stopped", {{"campaign", campaign->name}, {"why", campaign->why}});
    } else if (const auto& hours = campaign->terms.window) {
      CAPF_LET(const Window window, Window::parse(hours->text, hours->zone));
      open = window.contains(tx.now());
    }
    open = open && event.empty();
    const auto ran = time_between(campaign->round_at, tx.now());
    // The rest of a second counts in the next round.
    const bool whole = campaign->round_at && ran.count() > 0 && ran < kLongestRound;
    if (open) campaign->ran += ran;
    const TimePoint counted = whole ? *campaign->round_at + ran : tx.now();
    campaign->round_at = open ? std::optional(counted) : std::nullopt;
    CAPF_TRY(tx.campaigns().set(*campaign));
    if (event.empty()) return open;
    CAPF_TRY(tx.audit().add(done(actor_of(*campaign), event, campaign->name, campaign->why)));
    return false;
  });
}

/// One batch. @return how many phones it had
Result<int> CampaignRounds::release_some(std::int64_t id) {
  return under_lease([&](Transaction& tx) -> Result<int> {
    CAPF_LET(auto campaign, tx.campaigns().lock(id));
    if (!campaign || campaign->state != CampaignState::kRunning) return 0;
    const Release release = due(*campaign);
    const auto most = static_cast<int>(std::min<std::int64_t>(release.phones, kPhonesInBatch));
    if (most == 0) return 0;
    CAPF_LET(const auto phones, tx.campaigns().waiting(id, release.through, most));
    if (phones.empty()) return 0;
    CAPF_TRY(schedule(tx, *campaign, phones));
    campaign->released += static_cast<std::int64_t>(phones.size());
    CAPF_TRY(tx.campaigns().set(*campaign));
    return static_cast<int>(phones.size());
  });
}

Result<int> CampaignRounds::schedule(Transaction& tx, const Campaign& campaign, std::span<const SelectedPhone> phones) {
  const Actor actor = actor_of(campaign);
  const std::vector<std::int64_t> ids = ids_of(phones);
  CAPF_TRY(tx.phones().lock_all(ids));
  CAPF_LET(auto standings, tx.operations().standings(ids, renewal_run_));
  CAPF_TRY(cancel_open(tx, actor, take_renewed(standings), "replaced by " + actor.name, {}));
  Sorted sorted = sort_to_schedule(standings, false);
  ScheduleBulk bulk;
  bulk.plan.auth = campaign.terms.auth;
  bulk.plan.role = Role::kOperator;
  bulk.run = campaign.run;
  CAPF_LET(auto planned, plan_terms(tx, policy_, bulk.plan, sorted));
  CAPF_LET(const auto scheduled, operations_.schedule(tx, actor, bulk, std::move(planned)));
  ReleasedPhones released;
  for (const Scheduled& each : scheduled) {
    released.phones.push_back(each.operation.phone_id);
    released.operations.push_back(each.operation.id);
  }
  std::optional<TimePoint> patience_until;
  if (campaign.terms.patience) patience_until = tx.now() + *campaign.terms.patience;
  CAPF_TRY(tx.campaigns().release(campaign, released, patience_until));
  for (const auto& [reason, some] : problems_of(phones, sorted)) {
    CAPF_TRY(tx.campaigns().end(campaign, some, State::kSkipped, reason));
  }
  return static_cast<int>(released.phones.size());
}

Result<int> CampaignRounds::renew() {
  int released = 0;
  for (int looked = 0, some = kLooksAtOnce; some == kLooksAtOnce && looked < kLooksPerRound; looked += some) {
    CAPF_LET(const RenewalsLooked answer, under_lease([&](Transaction& tx) -> Result<RenewalsLooked> {
               CAPF_LET(const auto renewal, tx.campaigns().lock(kRenewalCampaign));
               if (!renewal || renewal->state != CampaignState::kRunning) return RenewalsLooked{};
               return look_at_renewals(tx, operations_, policy_, *renewal, kLooksAtOnce);
             }));
    some = answer.looked;
    released += answer.released;
  }
  return released;
}

Status CampaignRounds::clean() {
  CAPF_LET(const auto campaigns,
           in_read(database_, [](Transaction& tx) { return tx.campaigns().to_clean(kAbandoned, kPhonesKept); }));
  int left = kCleanedPerRound;
  for (const Campaign& campaign : campaigns) {
    for (bool clean = false; !clean && left > 0; --left) {
      CAPF_LET(clean, under_lease([&](Transaction& tx) { return clean_up(tx, campaign); }));
    }
  }
  return {};
}

}  // namespace capf::service
