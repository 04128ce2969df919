#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>

#include "capf/base/error.h"
#include "capf/service/monitor.h"

namespace capf::rpc {

/// Whether this server serves: the database answers, the clocks agree, and nobody asked it to stop. Threads: any.
class Readiness {
 public:
  explicit Readiness(service::Monitor& monitor) : monitor_(monitor) {}

  /// At most a second old. Errors: DATABASE_UNAVAILABLE, CLOCK_SKEW, SHUTTING_DOWN.
  Status check();
  /// From now on SHUTTING_DOWN: load balancers go elsewhere, streams end, new calls are refused.
  void drain() { draining_ = true; }
  bool draining() const { return draining_; }

 private:
  service::Monitor& monitor_;
  std::atomic<bool> draining_{false};
  std::mutex mutex_;  ///< one asks, the others wait for its answer
  Status last_;
  std::optional<std::chrono::steady_clock::time_point> asked_;
};

}  // namespace capf::rpc
