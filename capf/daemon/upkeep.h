#pragma once

#include <chrono>
#include <optional>

#include "capf/base/metrics.h"
#include "capf/daemon/complaint.h"
#include "capf/service/campaign_rounds.h"
#include "capf/service/checker.h"
#include "capf/service/commonprimes.h"
#include "capf/service/highwater.h"
#include "capf/service/issuers.h"
#include "capf/service/maintenance.h"
#include "capf/service/siteclock.h"
#include "capf/service/trust_lists.h"

namespace capf::daemon {

/// The regular work that keeps a site in order, as this server reports it. Threads: one for each function.
class Upkeep {
 public:
  /// All of it outlives this.
  struct Uses {
    service::Maintenance& maintenance;
    service::CampaignRounds& campaigns;
    service::Checker& checker;
    service::CommonPrimes& common_primes;
    service::Issuers& issuers;
    service::TrustLists& trust_lists;
    const service::HighWater& high_water;
    service::SiteClock& clock;
    Metrics& metrics;
  };
  /// @param check_period between two checks of the LSCs, and between two comparisons of the keys
  Upkeep(const Uses& uses, std::chrono::hours check_period) : uses_(uses), check_period_(check_period) {}

  /// Keeps the lease of maintenance, keeps the trust lists, and does what is due once a minute, campaigns among it.
  /// Call it every kLeaseRenewal.
  void maintain();
  void check();
  /// Takes minutes of arithmetic, for which the thread that calls it is made to give way to all others.
  void compare_keys();
  void refresh_issuers();
  /// Bounds the clock: the present is not before the active issuer's notBefore.
  void hold_against_issuer();

 private:
  void keep_lists();
  void run_campaigns();

  const Uses uses_;
  const std::chrono::hours check_period_;
  std::optional<std::chrono::steady_clock::time_point> maintained_;
  std::optional<std::chrono::steady_clock::time_point> lists_kept_;
  Complaint maintenance_complaint_{"maintenance.failed"};
  Complaint campaigns_complaint_{"campaigns.failed"};
  Complaint lists_complaint_{"trust_lists.not_published"};
  Complaint check_complaint_{"check.failed"};
  Complaint compare_complaint_{"keys.not_compared"};
  Complaint refresh_complaint_{"issuers.unread"};
};

}  // namespace capf::daemon
