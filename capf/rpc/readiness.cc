#include "capf/rpc/readiness.h"

namespace capf::rpc {
namespace {

constexpr std::chrono::seconds kKept{1};

}  // namespace

Status Readiness::check() {
  if (draining_) return fail(Reason::kShuttingDown);
  const std::lock_guard lock(check_mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (!asked_ || now - *asked_ >= kKept) {
    last_ = monitor_.healthy();
    asked_ = std::chrono::steady_clock::now();
  }
  return last_;
}

void Readiness::drain() {
  {
    const std::lock_guard lock(drain_mutex_);
    draining_ = true;
  }
  drained_.notify_all();
}

bool Readiness::wait_for_drain(std::chrono::milliseconds patience) {
  std::unique_lock lock(drain_mutex_);
  return drained_.wait_for(lock, patience, [&] { return draining_.load(); });
}

}  // namespace capf::rpc
