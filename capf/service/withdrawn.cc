#include "capf/service/withdrawn.h"

#include <algorithm>

namespace capf::service {

void Withdrawn::take(const Withdrawal& withdrawal) {
  const std::lock_guard lock(mutex_);
  if (is_of_phone(withdrawal.kind)) {
    auto& phones = phones_[withdrawal.kind];
    const Phone phone{withdrawal.phone_id, withdrawal.device};
    if (withdrawal.undone) {
      phones.erase(phone);
    } else {
      phones.insert(phone);
    }
    return;
  }
  auto& digests = by_digest_[withdrawal.kind];
  if (withdrawal.undone) {
    digests.erase(withdrawal.sha256);
  } else {
    digests[withdrawal.sha256] = withdrawal.block;
  }
}

void Withdrawn::clear() {
  const std::lock_guard lock(mutex_);
  by_digest_.clear();
  phones_.clear();
}

std::vector<Withdrawal> Withdrawn::list(WithdrawalKind kind) const {
  std::vector<Withdrawal> all;
  Withdrawal one;
  one.kind = kind;
  const std::lock_guard lock(mutex_);
  if (const auto digests = by_digest_.find(kind); digests != by_digest_.end()) {
    for (const auto& [sha256, block] : digests->second) {
      one.sha256 = sha256;
      one.block = block;
      all.push_back(one);
    }
  }
  if (const auto phones = phones_.find(kind); phones != phones_.end()) {
    for (const auto& [id, device] : phones->second) {
      one.phone_id = id;
      one.device = device;
      all.push_back(one);
    }
  }
  return all;
}

bool Withdrawn::has_administrator(const Sha256& certificate) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_digest_.find(WithdrawalKind::kAdministrator);
  return found != by_digest_.end() && found->second.contains(certificate);
}

bool Withdrawn::has_key(std::span<const Sha256> keys) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_digest_.find(WithdrawalKind::kKey);
  return found != by_digest_.end() &&
         std::any_of(keys.begin(), keys.end(), [&](const Sha256& one) { return found->second.contains(one); });
}

bool Withdrawn::has_phone(std::int64_t id, const DeviceName& device) const {
  const std::lock_guard lock(mutex_);
  const auto found = phones_.find(WithdrawalKind::kRemovedPhone);
  return found != phones_.end() && found->second.contains({id, device.text()});
}

}  // namespace capf::service
