#include "capf/rpc/admission/workers.h"

#include <chrono>
#include <system_error>
#include <utility>

#include "capf/base/contained.h"

namespace capf::rpc {

Workers::Workers(std::size_t most, std::size_t waiting, MakeThread make_thread)
    : most_(most), waiting_(waiting), make_thread_(std::move(make_thread)) {
  threads_.reserve(most);  // so that a thread which was made has its place
}

Workers::~Workers() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool Workers::give(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  const std::size_t busy = threads_.size() - idle_;
  if (busy + works_.size() >= most_ + waiting_) return false;
  if (works_.size() >= idle_ && threads_.size() < most_) add_thread();
  if (threads_.empty()) return false;
  works_.push_back(std::move(work));
  changed_.notify_one();
  return true;
}

/// The caller holds the mutex.
void Workers::add_thread() {
  try {
    threads_.push_back(make_thread_([this] { run(); }));
    ++idle_;
  } catch (const std::system_error& error) {
    if (const auto left_out = complaints_.admit(std::chrono::steady_clock::now())) {
      log_warning("thread.refused", {{"cause", error.what()}, {"threads", threads_.size()}, {"left_out", *left_out}});
    }
  }
}

void Workers::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !works_.empty(); });
    if (works_.empty()) return;
    --idle_;
    {
      const std::function<void()> work = std::exchange(works_.front(), {});
      works_.pop_front();
      lock.unlock();
      run_contained("work.failed", work);
    }
    lock.lock();
    ++idle_;
  }
}

}  // namespace capf::rpc
