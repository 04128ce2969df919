#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace capf::rpc {

/// Threads that do what gRPC's own must not wait for. They are made when they are needed. Threads: any.
class Workers {
 public:
  /// @param most threads. @param waiting works that may wait for one
  Workers(std::size_t most, std::size_t waiting) : most_(most), waiting_(waiting) {}
  /// Waits until the work that was given before is done.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// @return false where too many works wait: this one is not done.
  [[nodiscard]] bool give(std::function<void()> work);

 private:
  void run();

  const std::size_t most_;
  const std::size_t waiting_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> works_;
  std::size_t idle_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace capf::rpc
