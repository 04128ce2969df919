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

/// Whether this server serves: the database answers, the clocks agree, and nobody asked it to stop. Threads: any.
class Readiness {
 public:
  explicit Readiness(service::Monitor& monitor);
  ~Readiness();
  Readiness(const Readiness&) = delete;
  Readiness& operator=(const Readiness&) = delete;

  /// At most a second old; a database that has not answered for two seconds counts as away. Errors:
  /// DATABASE_UNAVAILABLE, DATABASE_READ_ONLY, CLOCK_SKEW, DATABASE_BEHIND, ISSUER_KEY_ABSENT, SHUTTING_DOWN.
  Status check();
  /// The same as check() said or will say, without waiting for it: what was found when somebody asked last.
  Status recent();
  /// From now on SHUTTING_DOWN: load balancers go elsewhere, streams end, new calls are refused.
  void drain();
  bool draining() const { return draining_; }
  /// Until somebody calls drain(), but no longer than `patience`. @return whether somebody did.
  bool wait_for_drain(std::chrono::milliseconds patience);

 private:
  void ask();
  /// With check_mutex_: asks unless somebody does or what is known is fresh. @return whether it is.
  bool refresh();

  service::Monitor& monitor_;
  std::atomic<bool> draining_{false};
  std::mutex check_mutex_;
  std::condition_variable changed_;
  Status last_;
  std::optional<std::chrono::steady_clock::time_point> answered_;
  std::optional<std::chrono::steady_clock::time_point> asking_;  ///< since when
  bool stopping_ = false;
  std::thread asker_;  ///< waits for the database, so that nobody who asks whether it answers must
  std::mutex drain_mutex_;
  std::condition_variable drained_;
};

}  // namespace capf::rpc
