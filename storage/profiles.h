#pragma once

#include "capf/domain/profile_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class Profiles final : public ProfileStore {
 public:
  explicit Profiles(Session& session) : session_(session) {}
  Status lock() override;
  Status hold_all() override;
  Result<std::int64_t> add(const Profile& profile) override;
  Result<std::optional<Profile>> find(const std::string& name) override;
  Result<std::optional<Profile>> find(std::int64_t id) override;
  Result<std::optional<Profile>> hold(const std::string& name) override;
  Result<std::optional<Profile>> lock(const std::string& name) override;
  Result<std::vector<Profile>> list(const Page& page) override;
  Result<std::int64_t> count(std::int64_t id) override;
  Status set(const Profile& profile) override;
  Status remove(std::int64_t id) override;
  Result<std::vector<ProfiledPhone>> phones(std::span<const std::int64_t> ids, bool with_lsc) override;
  Result<std::vector<std::int64_t>> apply(std::span<const std::int64_t> ids, std::int64_t profile_id) override;
  Status set_own(std::span<const std::pair<std::int64_t, Settings>> phones) override;
  Result<std::vector<PhonesAlike>> alike(std::optional<std::int64_t> profile_id) override;
  Result<std::int64_t> count_with_own(std::int64_t profile_id, std::span<const std::string> settings) override;
  Result<std::vector<OwnKind>> own_kinds(std::int64_t profile_id) override;
  Result<std::int64_t> count_of_kind(std::int64_t profile_id, std::int64_t phone_id, std::int64_t most) override;
  Result<std::optional<std::string>> string_open(std::int64_t profile_id) override;
  Result<SiteMode> site_mode() override;
  Result<SiteMode> lock_site_mode() override;
  Status set_site_mode(SiteMode mode) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
