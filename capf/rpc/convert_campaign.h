#pragma once

#include <string>

#include "capf/domain/campaign_store.h"
#include "capf/service/campaigns.h"
#include "capf/v1/admin.pb.h"
#include "capf/v1/campaigns.pb.h"

// Conversions of campaigns, beside those of convert.h.

namespace capf::rpc {

/// Errors: INVALID_REQUEST.
Result<CampaignTerms> terms_from(const v1::CreateCampaignRequest& request);
/// The number of a release; 0 for an empty text. Errors: INVALID_PAGE, also for the cursor of another campaign.
Result<std::int64_t> release_cursor_from(const std::string& text, std::int64_t campaign);

void to_proto(const Campaign& campaign, v1::Campaign& out);
void to_proto(const service::CampaignView& view, v1::Campaign& out);
void to_proto(const service::WrittenDown& answer, v1::AddCampaignPhonesResponse& out);
void to_proto(const PhoneRelease& release, std::int64_t campaign, v1::CampaignRelease& out);

}  // namespace capf::rpc
