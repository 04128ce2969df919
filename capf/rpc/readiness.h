#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "capf/base/error.h"
#include "capf/service/monitor.h"

namespace capf::rpc {

/// Whether this server serves: the database answers, the clocks agree, and nobody asked it to stop. Threads: any.
class Readiness {
 public:
  explicit Readiness(service::Monitor& monitor) : monitor_(monitor) {}

  /// At most a second old. Errors: DATABASE_UNAVAILABLE, CLOCK_SKEW, DATABASE_BEHIND, SHUTTING_DOWN.
  Status check();
  /// From now on SHUTTING_DOWN: load balancers go elsewhere, streams end, new calls are refused.
  void drain();
  bool draining() const { return draining_; }
  /// Until somebody calls drain(), but no longer than `patience`. @return whether somebody did.
  bool wait_for_drain(std::chrono::milliseconds patience);

 private:
  service::Monitor& monitor_;
  std::atomic<bool> draining_{false};
  std::mutex check_mutex_;  ///< one asks, the others wait for its answer
  Status last_;
  std::optional<std::chrono::steady_clock::time_point> asked_;
  std::mutex drain_mutex_;
  std::condition_variable drained_;
};

}  // namespace capf::rpc
