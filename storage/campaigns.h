#pragma once

#include "capf/domain/campaign_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class Campaigns final : public CampaignStore {
 public:
  explicit Campaigns(Session& session) : session_(session) {}
  Result<std::optional<std::int64_t>> add(const Campaign& campaign) override;
  Result<std::optional<Campaign>> find(const std::string& name) override;
  Result<std::optional<Campaign>> lock(const std::string& name) override;
  Result<std::optional<Campaign>> lock(std::int64_t id) override;
  Result<std::vector<Campaign>> list(const Page& page) override;
  Result<std::vector<Campaign>> under_way(int limit) override;
  Result<std::vector<Campaign>> to_clean(std::chrono::hours abandoned, std::chrono::hours kept) override;
  Status set(const Campaign& campaign) override;
  Status remove(std::int64_t id) override;
  Result<std::vector<CampaignFigure>> figures(std::int64_t id, std::optional<int> attempt) override;
  Result<int> add_phones(std::int64_t id, std::span<const CampaignPhone> phones) override;
  Result<std::vector<TakenPhone>> taken(std::int64_t id, std::span<const std::int64_t> phones, int limit) override;
  Result<std::vector<SelectedPhone>> waiting(std::int64_t id, std::int64_t through, int limit) override;
  Status release(const Campaign& campaign, const ReleasedPhones& phones,
                 const std::optional<TimePoint>& patience_until) override;
  Status end(const Campaign& campaign, std::span<const std::int64_t> phones, CampaignPhoneState state,
             const std::optional<Reason>& reason) override;
  Result<int> withdraw(std::int64_t id, int limit) override;
  Result<int> drop(std::int64_t id, int limit) override;
  Result<int> take_ends(int limit) override;
  Result<int> mark_late(int limit) override;
  Result<std::vector<PhoneRelease>> released(std::int64_t id, std::int64_t after, int limit) override;
  Result<std::vector<std::int64_t>> looks(int limit) override;
  Result<std::vector<RenewalPhone>> renewals(std::span<const std::int64_t> phones) override;
  Status plan(std::span<const RenewalPhone> phones, std::span<const RenewalTimes> times) override;
  Result<std::vector<std::int64_t>> with_lsc(std::int64_t after, int limit) override;
  Status look_anew(std::span<const std::int64_t> phones) override;
  Status set_looks(std::span<const std::pair<std::int64_t, std::optional<TimePoint>>> looks) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
