#include "capf/service/highwater.h"

#include <utility>

namespace capf::service {

std::uint64_t HighWater::epoch() const {
  const std::lock_guard lock(mutex_);
  return epoch_;
}

void HighWater::report(std::uint64_t epoch, const std::string& mark, std::optional<std::string> behind) {
  const std::lock_guard lock(mutex_);
  if (epoch != epoch_) return;
  if (behind)
    behind_[mark] = *std::move(behind);
  else
    behind_.erase(mark);
}

void HighWater::begin_anew() {
  const std::lock_guard lock(mutex_);
  ++epoch_;
  behind_.clear();
}

Status HighWater::check() const {
  const std::lock_guard lock(mutex_);
  if (behind_.empty()) return {};
  std::string missing;
  for (const auto& [mark, words] : behind_) missing += (missing.empty() ? "" : "; ") + words;
  return fail(Reason::kDatabaseBehind, std::string(words(Reason::kDatabaseBehind)) + ": " + missing);
}

}  // namespace capf::service
