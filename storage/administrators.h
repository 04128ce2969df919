#pragma once

#include "capf/domain/administrator_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class Administrators final : public AdministratorStore {
 public:
  explicit Administrators(Session& session) : session_(session) {}
  Result<bool> add(const Administrator& administrator) override;
  Result<std::optional<Administrator>> find(const std::string& name) override;
  Result<std::optional<Administrator>> find_certificate(const Sha256& sha256) override;
  Result<std::vector<Administrator>> list() override;
  Result<bool> disable(const std::string& name) override;
  Result<bool> end_certificate(const std::string& name, TimePoint ends_at) override;
  Result<bool> change_role(const std::string& name, Role role) override;
  Result<int> lock() override;

 private:
  Session& session_;
};

}  // namespace capf::storage
