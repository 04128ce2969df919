#include "capf/rpc/limiter.h"

namespace capf::rpc {

std::optional<Limiter::Place> Limiter::enter(std::chrono::system_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  if (running_ >= capacity_.running) {
    if (waiting_ >= capacity_.waiting) return std::nullopt;
    ++waiting_;
    const bool free = freed_.wait_until(lock, deadline, [&] { return running_ < capacity_.running; });
    --waiting_;
    if (!free) return std::nullopt;
  }
  ++running_;
  return Place(this);
}

std::optional<Limiter::Place> Limiter::try_enter() {
  const std::lock_guard lock(mutex_);
  if (running_ >= capacity_.running) return std::nullopt;
  ++running_;
  return Place(this);
}

int Limiter::running() const {
  const std::lock_guard lock(mutex_);
  return running_;
}

void Limiter::leave() {
  {
    const std::lock_guard lock(mutex_);
    --running_;
  }
  freed_.notify_one();
}

}  // namespace capf::rpc
