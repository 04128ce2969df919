#pragma once

#include "capf/domain/configuration_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class Configurations final : public ConfigurationStore {
 public:
  explicit Configurations(Session& session) : session_(session) {}
  Result<std::vector<std::optional<ConfigurationFacts>>> facts(std::span<const ConfigurationQuestion> asked) override;
  Result<std::optional<ConfigurationSource>> of_site(ConfigurationKind kind) override;
  Result<std::optional<ConfigurationSource>> lock_of_site(ConfigurationKind kind) override;
  Result<std::vector<EncryptedConfiguration>> of_phones(std::span<const std::int64_t> phone_ids) override;
  Result<std::vector<std::int64_t>> next_ids(std::size_t count) override;
  Status put(std::span<const NewConfiguration> configurations, const std::string& imported_by) override;
  Status remove(std::span<const std::int64_t> ids) override;
  Result<std::vector<EncryptedConfiguration>> lock_older(int generation, int limit) override;
  Status replace_sources(std::span<const EncryptedConfiguration> configurations) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
