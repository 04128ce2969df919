#include "capf/service/expiry.h"

#include <array>
#include <optional>

namespace capf::service {
namespace {

constexpr std::array<std::int64_t, 11> kSteps{0, 1, 2, 3, 4, 5, 6, 7, 14, 30, 90};
constexpr std::int64_t kEnded = -1;

/// Within how many days it ends: one of kSteps, or kEnded; nothing while that is further away.
std::optional<std::int64_t> step(Duration left) {
  if (left <= Duration{0}) return kEnded;
  for (const std::int64_t days : kSteps) {
    if (left <= std::chrono::days(days)) return days;
  }
  return std::nullopt;
}

}  // namespace

void OwnCertificates::set(ExpiryKind kind, std::vector<Expiry> certificates) {
  const std::lock_guard lock(mutex_);
  certificates_[kind] = std::move(certificates);
}

std::vector<Expiry> OwnCertificates::list() const {
  std::vector<Expiry> all;
  const std::lock_guard lock(mutex_);
  for (const auto& [kind, some] : certificates_) all.insert(all.end(), some.begin(), some.end());
  return all;
}

std::vector<Expiry> ExpiryWarnings::due(const std::vector<Expiry>& expiries, TimePoint now) {
  std::vector<Expiry> due;
  decltype(logged_) logged;
  for (const Expiry& expiry : expiries) {
    if (expiry.renews_at) continue;
    const auto days = step(expiry.not_after - now);
    if (!days) continue;
    const std::tuple key{expiry.kind, expiry.name, expiry.not_after};
    const auto last = logged_.find(key);
    const bool new_step = last == logged_.end() || last->second != *days;
    if (new_step && due.size() == kMostAtOnce) {
      if (last != logged_.end()) logged.insert(*last);
      continue;
    }
    if (new_step) due.push_back(expiry);
    logged[key] = *days;
  }
  logged_ = std::move(logged);
  return due;
}

}  // namespace capf::service
