#include "capf/daemon/signals.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <system_error>
#include <thread>

#include <pthread.h>
#include <unistd.h>

#include "capf/base/contained.h"
#include "capf/base/log.h"

namespace capf::daemon {
namespace {

sigset_t awaited() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  return set;
}

}  // namespace

Signals::Signals() {
  const sigset_t set = awaited();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

bool Signals::stop_within(std::chrono::milliseconds time) {
  const auto deadline = std::chrono::steady_clock::now() + time;
  const sigset_t set = awaited();
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(deadline - std::chrono::steady_clock::now());
    const auto count = left.count() < 0 ? 0 : left.count();
    const timespec wait{static_cast<time_t>(count / 1'000'000'000), static_cast<long>(count % 1'000'000'000)};
    const int signal = ::sigtimedwait(&set, nullptr, &wait);
    if (signal == SIGTERM || signal == SIGINT) return true;
    if (signal < 0 && errno == EAGAIN) return false;
  }
}

void Signals::wait_for_stop() {
  while (!stop_within(std::chrono::hours{1})) {
  }
}

void Signals::end_within(std::chrono::seconds time) {
  try {
    std::thread([time] {
      std::this_thread::sleep_for(time);
      run_contained("work.failed", [] {
        log_warning("server.stopped_short", {{"words", "something did not answer in time"}});
      });
      flush_log(std::chrono::seconds{1});
      std::_Exit(0);
    }).detach();
  } catch (const std::system_error& error) {
    log_warning("thread.refused", {{"cause", error.what()}, {"words", "an alarm limits the time of the stop"}});
    ::signal(SIGALRM, [](int) { ::_exit(0); });
    ::alarm(static_cast<unsigned>(time.count()));
  }
}

}  // namespace capf::daemon
