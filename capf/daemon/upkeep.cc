#include "capf/daemon/upkeep.h"

#include <sys/resource.h>

#include "capf/base/log.h"

namespace capf::daemon {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kMaintenancePeriod{60};
constexpr std::chrono::seconds kListsPeriod{3};
constexpr int kPatientNice = 15;

}  // namespace

void Upkeep::maintain() {
  const auto held = uses_.maintenance.hold();
  uses_.metrics.set_lease_held(held && *held);
  if (!held) maintenance_complaint_.report(held);
  const auto now = steady_clock::now();
  if (!held || !*held) return;
  if (!lists_kept_ || now - *lists_kept_ >= kListsPeriod) {
    lists_kept_ = now;
    keep_lists();
  }
  if (maintained_ && now - *maintained_ < kMaintenancePeriod) return;
  maintained_ = now;
  const auto round = uses_.maintenance.run();
  maintenance_complaint_.report(round);
  if (round && !*round) return;
  if (round && (*round)->expired + (*round)->revoked > 0) {
    log_info("maintenance.done", {{"expired", (*round)->expired}, {"revoked", (*round)->revoked}});
  }
  run_campaigns();
}

void Upkeep::run_campaigns() {
  const auto begun = steady_clock::now();
  const auto round = uses_.campaigns.run();
  uses_.metrics.set_campaign_round(steady_clock::now() - begun);
  campaigns_complaint_.report(round);
  if (!round || round->released + round->late == 0) return;
  log_info("campaigns.done", {{"released", round->released}, {"late", round->late}});
}

void Upkeep::keep_lists() {
  const auto kept = uses_.trust_lists.keep();
  lists_complaint_.report(kept);
  if (!kept || !*kept) return;
  for (const service::BuiltList& built : (*kept)->lists) {
    log_info("trust_list.published", {{"kind", to_string(built.list.kind)}, {"generation", built.list.generation}});
  }
}

void Upkeep::check() {
  const auto findings = uses_.checker.run(check_period_);
  check_complaint_.report(findings);
  if (findings && *findings) uses_.metrics.set_findings(static_cast<std::int64_t>((*findings)->size()));
}

void Upkeep::compare_keys() {
  ::setpriority(PRIO_PROCESS, 0, kPatientNice);  // Linux: of this thread
  if (uses_.high_water.check()) compare_complaint_.report(uses_.common_primes.run(check_period_));
}

void Upkeep::refresh_issuers() {
  refresh_complaint_.report(uses_.issuers.refresh());
  hold_against_issuer();
}

void Upkeep::hold_against_issuer() {
  const auto issuers = uses_.issuers.list();
  if (!issuers) return;
  for (const IssuerRecord& issuer : *issuers) {
    if (issuer.active) uses_.clock.set("the active issuer", issuer.not_before);
  }
}

}  // namespace capf::daemon
