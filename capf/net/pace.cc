#include "capf/net/pace.h"

#include <ctime>

namespace capf::net {

std::chrono::nanoseconds thread_work() {
  timespec spent{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return std::chrono::seconds(spent.tv_sec) + std::chrono::nanoseconds(spent.tv_nsec);
}

}  // namespace capf::net
