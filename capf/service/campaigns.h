#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/domain/campaign_store.h"
#include "capf/domain/database.h"
#include "capf/service/bulk.h"

namespace capf::service {

/// Phones that one call writes down.
inline constexpr int kPhonesWrittenDown = 5'000;
/// Campaigns that are not over.
inline constexpr int kMostCampaigns = 100;

struct CampaignView {
  Campaign campaign;
  std::vector<CampaignFigure> figures;
  std::optional<TimePoint> opens_at;  ///< it runs, and its window is shut until then
};

/// The answer of a call that writes phones down.
struct WrittenDown {
  int selected = 0;                  ///< phones of this call
  int added = 0;                     ///< those of them that the campaign has from now on
  std::vector<TakenPhone> left_out;  ///< the first ones that other campaigns have
  std::optional<BulkCursor> next;    ///< absent: the selection is done
};

/// The administrator's use cases of campaigns. Threads: any.
class Campaigns {
 public:
  Campaigns(Database& database, Botan::RandomNumberGenerator& random) : database_(database), random_(random) {}

  /// Makes a new campaign without phones, which add_phones() and then start() complete; one that nobody goes on with is
  /// removed after a while. Errors: CAMPAIGN_EXISTS; CAMPAIGN_STATE where there are kMostCampaigns; those of
  /// check_campaign_name() and CampaignTerms::check().
  Result<Campaign> create(const Actor& actor, const std::string& name, CampaignTerms terms);
  /// Whether create() would make it. Errors: as there.
  Status check(const std::string& name, CampaignTerms terms);
  /// Writes down the next phones of a selection, kPhonesWrittenDown at most. A call may be repeated. Errors:
  /// UNKNOWN_CAMPAIGN, CAMPAIGN_STATE; PHONE_IN_CAMPAIGN unless `leaves_taken`; those of a bulk.
  Result<WrittenDown> add_phones(const Actor& actor, const std::string& name, Bulk phones, bool leaves_taken);
  /// From now on phones are released. Errors: as above; CAMPAIGN_STATE also without a phone.
  Result<CampaignView> start(const Actor& actor, const std::string& name);

  Result<std::vector<Campaign>> list(const Page& page);
  /// Errors of these: UNKNOWN_CAMPAIGN.
  Result<CampaignView> show(const std::string& name);
  /// Errors of these three: also CAMPAIGN_STATE.
  Result<CampaignView> pause(const Actor& actor, const std::string& name);
  /// After a stop, phones that were released before are not judged again.
  Result<CampaignView> resume(const Actor& actor, const std::string& name);
  /// Waiting phones are free at once; operations that are open stay. A new campaign is gone without a trace.
  Result<CampaignView> cancel(const Actor& actor, const std::string& name);
  /// Phones that are to be restarted, behind the release of this number.
  Result<std::vector<PhoneRelease>> released(std::int64_t campaign, std::int64_t after, int limit);

 private:
  Result<CampaignView> change(const Actor& actor, const std::string& name, const std::string& action,
                              const std::function<Status(Transaction&, Campaign&)>& work);

  Database& database_;
  Botan::RandomNumberGenerator& random_;
};

/// How many phones are in one of these states.
std::int64_t count_in(std::span<const CampaignFigure> figures, std::initializer_list<CampaignPhoneState> states);
/// Withdraws or drops some of the phones of a campaign that is over, or that nobody goes on with. @return whether there
/// are none left
Result<bool> clean_up(Transaction& tx, const Campaign& campaign);

}  // namespace capf::service
