#include "capf/rpc/admission/workers.h"

#include <utility>

namespace capf::rpc {

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
  if (works_.size() >= idle_ && threads_.size() < most_) {
    works_.push_back(std::move(work));
    threads_.emplace_back([this] { run(); });
    return true;
  }
  if (works_.size() >= idle_ + waiting_) return false;
  works_.push_back(std::move(work));
  changed_.notify_one();
  return true;
}

void Workers::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    changed_.wait(lock, [this] { return stopping_ || !works_.empty(); });
    --idle_;
    if (works_.empty()) return;
    {
      const std::function<void()> work = std::exchange(works_.front(), {});
      works_.pop_front();
      lock.unlock();
      work();
    }
    lock.lock();
  }
}

}  // namespace capf::rpc
