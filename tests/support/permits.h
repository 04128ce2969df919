#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace capf::test {

/// Counts permits that threads of a test give and take. Those of the standard library may sleep for ever with GCC 12
/// (PR 104928). Threads: any.
class Permits {
 public:
  void release(std::size_t permits = 1) {
    const std::lock_guard lock(mutex_);
    permits_ += permits;
    given_.notify_all();
  }
  /// Waits for one.
  void acquire() {
    std::unique_lock lock(mutex_);
    given_.wait(lock, [this] { return permits_ > 0; });
    --permits_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable given_;
  std::size_t permits_ = 0;
};

}  // namespace capf::test
