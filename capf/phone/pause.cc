#include "capf/phone/pause.h"

#include <condition_variable>
#include <mutex>

namespace capf::phone {

void wait_until(std::chrono::steady_clock::time_point time) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  never.wait_until(lock, time, [] { return false; });
}

}  // namespace capf::phone
