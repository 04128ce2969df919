#include "capf/service/highwater.h"

#include <utility>

namespace capf::service {

void HighWater::report(const std::string& mark, std::optional<std::string> behind) {
  const std::lock_guard lock(mutex_);
  if (behind)
    behind_[mark] = *std::move(behind);
  else
    behind_.erase(mark);
}

Status HighWater::check() const {
  const std::lock_guard lock(mutex_);
  if (behind_.empty()) return {};
  std::string missing;
  for (const auto& [mark, words] : behind_) missing += (missing.empty() ? "" : "; ") + words;
  return fail(Reason::kDatabaseBehind, std::string(words(Reason::kDatabaseBehind)) + ": " + missing);
}

}  // namespace capf::service
