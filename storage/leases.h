#pragma once

#include "capf/domain/lease_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class Leases final : public LeaseStore {
 public:
  explicit Leases(Session& session) : session_(session) {}
  Result<bool> take(const std::string& name, const std::string& holder, int seconds) override;
  Result<bool> hold(const std::string& name, const std::string& holder, int seconds) override;
  Status give_back(const std::string& name, const std::string& holder) override;
  Result<std::int64_t> place(const std::string& job) override;
  Status set_place(const std::string& job, std::int64_t certificate_id) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
