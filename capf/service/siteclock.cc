#include "capf/service/siteclock.h"

namespace capf::service {

TimeBound SiteClock::bound() const {
  TimeBound bound{built_, "the build of this program"};
  const std::lock_guard lock(mutex_);
  if (confirmed_ && std::chrono::steady_clock::now() - *confirmed_ < kConfirmed) return bound;
  for (const auto& [what, at] : known_) {
    if (at > bound.at) bound = {at, what};
  }
  return bound;
}

void SiteClock::set(const std::string& what, TimePoint at) {
  const std::lock_guard lock(mutex_);
  known_[what] = at;
}

void SiteClock::confirm() {
  const std::lock_guard lock(mutex_);
  confirmed_ = std::chrono::steady_clock::now();
}

}  // namespace capf::service
