#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/campaign.h"
#include "capf/domain/operation.h"
#include "capf/domain/page.h"
#include "capf/domain/phone_store.h"

namespace capf {

/// A phone that is written down for a campaign.
struct CampaignPhone {
  std::int64_t id = 0;
  DeviceName device;
  std::int64_t place = 0;
};
/// A phone that another campaign has.
struct TakenPhone {
  std::string device;
  std::string campaign;
};
/// Some phones of a campaign for which operations were scheduled, in the same order.
struct ReleasedPhones {
  std::vector<std::int64_t> phones;
  std::vector<std::int64_t> operations;
};
/// A phone that is to be restarted.
struct PhoneRelease {
  std::int64_t number = 0;  ///< greater with each one that is released, in whatever campaign
  DeviceName device;
  TimePoint released_at;
  bool late = false;
};
/// A phone of the renewal, with the key that its LSC was issued for.
struct RenewalPhone {
  std::int64_t id = 0;
  RenewalView view;  ///< without the settings
  std::optional<KeyPolicy> key{};
};

class CampaignStore {
 public:
  virtual ~CampaignStore() = default;
  /// Adds it as new. @return its id; nothing where there is one of this name.
  virtual Result<std::optional<std::int64_t>> add(const Campaign& campaign) = 0;
  virtual Result<std::optional<Campaign>> find(const std::string& name) = 0;
  /// The same, and until this transaction ends no other one changes it. Comes before every phone's lock.
  virtual Result<std::optional<Campaign>> lock(const std::string& name) = 0;
  virtual Result<std::optional<Campaign>> lock(std::int64_t id) = 0;
  /// The newest last.
  virtual Result<std::vector<Campaign>> list(const Page& page) = 0;
  /// Those that are not over.
  virtual Result<std::vector<Campaign>> under_way(int limit) = 0;
  /// Those whose phones are to be dropped or to be withdrawn: cancelled ones of which phones wait, new ones that nobody
  /// has gone on with for `abandoned`, and those that were over for `kept`.
  virtual Result<std::vector<Campaign>> to_clean(std::chrono::hours abandoned, std::chrono::hours kept) = 0;
  /// Writes state, attempt, progress, why and end of a locked one.
  virtual Status set(const Campaign& campaign) = 0;
  /// Removes a new one that has no phones.
  virtual Status remove(std::int64_t id) = 0;
  /// Phones by state and reason. @param attempt absent: in all of them
  virtual Result<std::vector<CampaignFigure>> figures(std::int64_t id, std::optional<int> attempt) = 0;

  /// Writes phones down. @return how many of them were not in this campaign, and in no other one.
  virtual Result<int> add_phones(std::int64_t id, std::span<const CampaignPhone> phones) = 0;
  /// Those of these phones that another campaign has, by name, at most `limit`.
  virtual Result<std::vector<TakenPhone>> taken(std::int64_t id, std::span<const std::int64_t> phones, int limit) = 0;
  /// The next waiting phones below this place.
  virtual Result<std::vector<SelectedPhone>> waiting(std::int64_t id, std::int64_t through, int limit) = 0;
  /// Phones whose operations were scheduled in this transaction. @param patience_until absent: as it was
  virtual Status release(const Campaign& campaign, const ReleasedPhones& phones,
                         const std::optional<TimePoint>& patience_until) = 0;
  /// Brings phones into a state in which nothing is scheduled for them; those that are under way alone.
  virtual Status end(const Campaign& campaign, std::span<const std::int64_t> phones, CampaignPhoneState state,
                     const std::optional<Reason>& reason) = 0;
  /// Cancels waiting phones of a campaign. @return how many
  virtual Result<int> withdraw(std::int64_t id, int limit) = 0;
  /// Deletes phones of a campaign, whose figures stay. @return how many
  virtual Result<int> drop(std::int64_t id, int limit) = 0;
  /// Takes over how operations of campaigns have ended since. @return how many ends it looked at
  virtual Result<int> take_ends(int limit) = 0;
  /// Marks released phones as late with which the patience is over. @return how many
  virtual Result<int> mark_late(int limit) = 0;
  /// Phones that are under way, in the order in which they were released.
  virtual Result<std::vector<PhoneRelease>> released(std::int64_t id, std::int64_t after, int limit) = 0;

  /// The ids of the phones that the renewal is to look at, those that are due for the longest time first.
  virtual Result<std::vector<std::int64_t>> looks(int limit) = 0;
  /// Those of these phones that are present and have a valid LSC.
  virtual Result<std::vector<RenewalPhone>> renewals(std::span<const std::int64_t> phones) = 0;
  /// From now on these phones wait for their renewal.
  virtual Status plan(std::span<const RenewalPhone> phones, std::span<const RenewalTimes> times) = 0;
  /// Phones with an LSC, behind this id and in ascending order.
  virtual Result<std::vector<std::int64_t>> with_lsc(std::int64_t after, int limit) = 0;
  /// The looks at these phones as if their LSCs were new: after a clock that was ahead. Phones are locked.
  virtual Status look_anew(std::span<const std::int64_t> phones) = 0;
  virtual Status set_looks(std::span<const std::pair<std::int64_t, std::optional<TimePoint>>> looks) = 0;
};

}  // namespace capf
