#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "capf/domain/campaign_store.h"
#include "capf/domain/database.h"
#include "capf/domain/policy.h"
#include "capf/service/operations.h"

namespace capf::service {

/// Releases the phones of campaigns, once a minute, on the server that has the lease of maintenance, by the database's
/// clock. A phone and its operation are written in one transaction, so that a server that is killed leaves nothing half
/// done and the next one schedules nothing twice. Threads: one, that of maintenance.
class CampaignRounds {
 public:
  struct Round {
    int released = 0;
    int late = 0;  ///< since the last round
  };

  /// @param holder that of maintenance
  CampaignRounds(Database& database, Operations& operations, const SitePolicy& policy, const Clock& clock,
                 std::string holder)
      : database_(database), operations_(operations), policy_(policy), clock_(clock), holder_(std::move(holder)) {}

  /// Errors: the first one of a campaign, after the others have had their turn; CLOCK_SKEW.
  Result<Round> run();

 private:
  template <class Work>
  auto under_lease(Work work);

  Result<int> take_ends();
  Result<int> mark_late();
  Result<int> run_one(const Campaign& campaign);
  Result<bool> begin_round(std::int64_t campaign);
  Result<int> release_some(std::int64_t campaign);
  Result<int> schedule(Transaction& tx, const Campaign& campaign, std::span<const SelectedPhone> phones);
  Result<int> renew();
  Status clean();

  Database& database_;
  Operations& operations_;
  const SitePolicy& policy_;
  const Clock& clock_;
  std::string holder_;
  Bytes renewal_run_;  ///< of the renewal's operations
};

}  // namespace capf::service
