#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace capf::daemon {

/// Calls `work` on a thread of its own: at once, and then every `period`, each time up to a fifth of it earlier or
/// later, so that servers that started together drift apart. Stops on destruction.
class Ticker {
 public:
  Ticker(std::chrono::milliseconds period, std::function<void()> work);
  /// @param work returns the time until it is to be called again.
  explicit Ticker(std::function<std::chrono::milliseconds()> work);
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

  /// Begins no more calls, and waits for a running one.
  void stop();

 private:
  void loop();

  const std::function<std::chrono::milliseconds()> work_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace capf::daemon
