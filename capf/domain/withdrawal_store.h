#pragma once

#include <optional>
#include <vector>

#include "capf/base/error.h"
#include "capf/domain/seal.h"
#include "capf/domain/withdrawal.h"

namespace capf {

class WithdrawalStore {
 public:
  virtual ~WithdrawalStore() = default;
  /// Withdrawals after `after` that no running transaction can still precede, in order.
  virtual Result<std::vector<Withdrawal>> list(const ChangeCursor& after, int limit) = 0;
  virtual Result<std::optional<Withdrawal>> find(const ChangeCursor& place) = 0;
};

}  // namespace capf
