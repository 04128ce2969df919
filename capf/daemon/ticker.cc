#include "capf/daemon/ticker.h"

#include <utility>

#include <botan/system_rng.h>
#include <pthread.h>

#include "capf/base/contained.h"

namespace capf::daemon {
namespace {

/// Until the next call after one that has thrown.
constexpr std::chrono::milliseconds kAfterFailure{1000};

std::chrono::milliseconds jittered(std::chrono::milliseconds period) {
  // -20 % to +20 %
  const int percent = Botan::system_rng().next_byte() * 41 / 256 - 20;
  return period + period * percent / 100;
}

}  // namespace

Ticker::Ticker(const char* name, std::function<std::chrono::milliseconds()> work)
    : name_(name), work_(std::move(work)), thread_([this] { loop(); }) {}

Ticker::~Ticker() { stop(); }

void Ticker::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Ticker::loop() {
  ::pthread_setname_np(::pthread_self(), name_);
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    std::chrono::milliseconds period = kAfterFailure;
    run_contained("work.failed", [&] { period = work_(); });
    lock.lock();
    stopped_.wait_for(lock, jittered(period), [this] { return stopping_; });
  }
}

}  // namespace capf::daemon
