#pragma once

#include "capf/domain/string_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class Strings final : public StringStore {
 public:
  explicit Strings(Session& session) : session_(session) {}
  Result<std::vector<LimitedAddress>> limited(int strings) override;
  Result<bool> unlock_address(const std::string& address_block) override;
  Status unlock_all(std::span<const std::int64_t> phone_ids) override;
  Status prune() override;

 private:
  Session& session_;
};

}  // namespace capf::storage
