#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <utility>

#include "capf/daemon/ticker.h"

namespace capf::daemon {

/// Work that a server does again and again.
struct Job {
  const char* name;                                 ///< of its thread, at most 15 octets
  std::function<std::chrono::milliseconds()> work;  ///< returns the time until it is to be called again
  /// Makes a running call return soon; called from another thread. May be empty.
  std::function<void()> hurry{};
  /// Called after the last call of `work`: another server may have its lease at once. May be empty.
  std::function<void()> leave{};
};

/// Work that is to be called every `period`.
std::function<std::chrono::milliseconds()> every(std::chrono::milliseconds period, std::function<void()> work);

/// The jobs of a server, each on a thread of its own. Stops on destruction. Threads: one.
class Jobs {
 public:
  Jobs() = default;
  ~Jobs() { stop(); }
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  void start(Job job);
  /// Stops one after the other, the last one first: each is hurried, its running call ends, and it leaves.
  void stop();

 private:
  struct Running {
    explicit Running(Job given) : job(std::move(given)), ticker(job.name, job.work) {}
    Job job;
    Ticker ticker;
  };

  std::deque<Running> running_;
};

}  // namespace capf::daemon
