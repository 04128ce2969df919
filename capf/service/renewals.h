#pragma once

#include "capf/domain/campaign_store.h"
#include "capf/domain/database.h"
#include "capf/domain/policy.h"
#include "capf/service/operations.h"

namespace capf::service {

struct RenewalsLooked {
  int looked = 0;
  int released = 0;
};
/// Looks at the next phones whose LSCs may be renewed, and schedules operations for those that are due: by LSC, for a
/// key as before, open as long as the LSC is valid.
/// @param renewal the campaign, which runs; locked. @param limit of phones
Result<RenewalsLooked> look_at_renewals(Transaction& tx, Operations& operations, const SitePolicy& policy,
                                        const Campaign& renewal, int limit);

/// The author of what a campaign does.
Actor actor_of(const Campaign& campaign);

}  // namespace capf::service
