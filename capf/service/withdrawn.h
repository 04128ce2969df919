#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "capf/domain/device.h"
#include "capf/domain/withdrawal.h"

namespace capf::service {

/// The withdrawals that this server has seen; they count even where the database has forgotten them. Threads: any.
class Withdrawn {
 public:
  bool has_administrator(const Sha256& certificate) const;
  bool has_key(std::span<const Sha256> keys) const;
  /// A phone that was added again under the same name has another id.
  bool has_phone(std::int64_t id, const DeviceName& device) const;

  void take(const Withdrawal& withdrawal);
  void clear();
  /// All of a kind that are not undone.
  std::vector<Withdrawal> list(WithdrawalKind kind) const;

 private:
  using Phone = std::pair<std::int64_t, std::string>;
  mutable std::mutex mutex_;
  std::map<WithdrawalKind, std::map<Sha256, std::string>> by_digest_;  ///< with the rows of certificates
  std::map<WithdrawalKind, std::set<Phone>> phones_;
};

}  // namespace capf::service
