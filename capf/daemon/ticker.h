#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace capf::daemon {

/// Calls `work` on a thread of its own: at once, and again after the time that it returns, which is made up to a fifth
/// shorter or longer, so that servers that started together drift apart. Stops on destruction.
class Ticker {
 public:
  /// @param name of the thread, at most 15 octets
  Ticker(const char* name, std::function<std::chrono::milliseconds()> work);
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

  /// Begins no more calls, and waits for a running one.
  void stop();

 private:
  void loop();

  const char* const name_;
  const std::function<std::chrono::milliseconds()> work_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace capf::daemon
