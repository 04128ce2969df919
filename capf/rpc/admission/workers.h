#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "capf/base/log.h"

namespace capf::rpc {

/// Threads that do what gRPC's own must not wait for. They are made when they are needed. Threads: any.
class Workers {
 public:
  /// Makes a thread that does this, or throws std::system_error where the system gives none.
  using MakeThread = std::function<std::thread(std::function<void()>)>;

  /// @param most threads. @param waiting works that are taken beyond one for each of them
  Workers(std::size_t most, std::size_t waiting, MakeThread make_thread = start_thread);
  /// Waits until the work that was given before is done.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Where the system gives no further thread, the work waits for one of those that there are.
  /// @return false where too many works wait, or there is no thread at all: this one is not done.
  [[nodiscard]] bool give(std::function<void()> work);

 private:
  static std::thread start_thread(std::function<void()> run) { return std::thread(std::move(run)); }
  void add_thread();
  void run();

  const std::size_t most_;
  const std::size_t waiting_;
  const MakeThread make_thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> works_;
  std::size_t idle_ = 0;  ///< threads without a work, also those that have just been made
  bool stopping_ = false;
  LogLimit complaints_{1};  ///< a second
  std::vector<std::thread> threads_;
};

}  // namespace capf::rpc
