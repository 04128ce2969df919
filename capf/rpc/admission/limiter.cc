#include "capf/rpc/admission/limiter.h"

namespace capf::rpc {
namespace {

/// A caller has at most so many times as many places as are left: of those that come later each gets some.
constexpr int kTimesTheRest = 7;

}  // namespace

bool Limiter::has_share(int own) const {
  const int all = capacity_.running + capacity_.waiting;
  if (capacity_.each >= all) return true;
  return own < capacity_.each && own < kTimesTheRest * (all - running_ - waiting_);
}

std::optional<Limiter::Place> Limiter::enter(std::chrono::system_clock::time_point deadline,
                                             const std::string& caller) {
  std::unique_lock lock(mutex_);
  if (running_ >= capacity_.running && waiting_ >= capacity_.waiting) return std::nullopt;
  const auto own = by_caller_.try_emplace(caller, 0).first;
  if (!has_share(own->second)) {
    if (own->second == 0) by_caller_.erase(own);
    return std::nullopt;
  }
  ++own->second;
  if (running_ >= capacity_.running) {
    ++waiting_;
    const bool free = freed_.wait_until(lock, deadline, [&] { return running_ < capacity_.running; });
    --waiting_;
    if (!free) {
      forget(caller);
      return std::nullopt;
    }
  }
  ++running_;
  return Place(this, caller);
}

std::optional<Limiter::Place> Limiter::try_enter() {
  const std::lock_guard lock(mutex_);
  if (running_ >= capacity_.running) return std::nullopt;
  ++running_;
  ++by_caller_[{}];
  return Place(this, {});
}

int Limiter::running() const {
  const std::lock_guard lock(mutex_);
  return running_;
}

void Limiter::forget(const std::string& caller) {
  const auto own = by_caller_.find(caller);
  if (--own->second == 0) by_caller_.erase(own);
}

void Limiter::leave(const std::string& caller) {
  {
    const std::lock_guard lock(mutex_);
    --running_;
    forget(caller);
  }
  freed_.notify_one();
}

}  // namespace capf::rpc
