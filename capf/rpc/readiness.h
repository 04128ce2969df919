#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "capf/base/error.h"
#include "capf/service/monitor.h"

namespace capf::rpc {

/// Whether this server serves: Monitor::healthy(), and nobody asked it to stop. Threads: any.
class Readiness {
 public:
  explicit Readiness(service::Monitor& monitor);
  ~Readiness();
  Readiness(const Readiness&) = delete;
  Readiness& operator=(const Readiness&) = delete;

  /// At most a second old; a database that has not answered for two seconds counts as away. Errors: those of
  /// Monitor::healthy(), SHUTTING_DOWN.
  Status check();
  /// The last result of check(), without waiting for a new one.
  Status recent();
  /// From now on SHUTTING_DOWN: load balancers go elsewhere, streams end, new calls are refused.
  void drain();
  bool draining() const { return draining_; }
  /// Waits for drain(), but no longer than `patience`. @return whether it was called.
  bool wait_for_drain(std::chrono::milliseconds patience);

 private:
  void ask();
  /// Starts a check unless one runs or the last result is fresh. The caller holds check_mutex_. @return whether it is
  /// fresh.
  bool refresh();

  service::Monitor& monitor_;
  std::atomic<bool> draining_{false};
  std::mutex check_mutex_;
  std::condition_variable changed_;
  Status last_;
  std::optional<std::chrono::steady_clock::time_point> answered_;
  std::optional<std::chrono::steady_clock::time_point> asking_;  ///< since when
  bool stopping_ = false;
  std::thread asker_;  ///< waits for the database, so that callers of check() need not
  std::mutex drain_mutex_;
  std::condition_variable drained_;
};

}  // namespace capf::rpc
