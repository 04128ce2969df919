#pragma once

#include "capf/domain/withdrawal_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class Withdrawals final : public WithdrawalStore {
 public:
  explicit Withdrawals(Session& session) : session_(session) {}
  Result<std::vector<Withdrawal>> list(const ChangeCursor& after, int limit) override;
  Result<std::optional<Withdrawal>> find(const ChangeCursor& place) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
