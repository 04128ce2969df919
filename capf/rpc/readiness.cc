#include "capf/rpc/readiness.h"

#include <optional>
#include <utility>

#include "capf/base/contained.h"

namespace capf::rpc {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kKept{1};
constexpr std::chrono::seconds kPatience{2};

Status no_answer() { return fail(Reason::kDatabaseUnavailable, "the database does not answer"); }

}  // namespace

Readiness::Readiness(service::Monitor& monitor) : monitor_(monitor), asker_([this] { ask(); }) {}

Readiness::~Readiness() {
  {
    const std::lock_guard lock(check_mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  asker_.join();
}

Status Readiness::check() {
  if (draining_) return fail(Reason::kShuttingDown);
  std::unique_lock lock(check_mutex_);
  if (refresh()) return last_;
  if (changed_.wait_until(lock, *asking_ + kPatience, [this] { return !asking_; })) return last_;
  return no_answer();
}

Status Readiness::recent() {
  if (draining_) return fail(Reason::kShuttingDown);
  const std::lock_guard lock(check_mutex_);
  if (refresh()) return last_;
  if (!answered_ || steady_clock::now() - *asking_ >= kPatience) return no_answer();
  return last_;
}

bool Readiness::refresh() {
  if (asking_) return false;
  if (answered_ && steady_clock::now() - *answered_ < kKept) return true;
  asking_ = steady_clock::now();
  changed_.notify_all();
  return false;
}

void Readiness::ask() {
  std::unique_lock lock(check_mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || asking_; });
    if (stopping_) return;
    lock.unlock();
    std::optional<Status> answer;
    if (!run_contained("work.failed", [&] { answer = monitor_.healthy(); })) {
      run_contained("work.failed", [&] { answer = no_answer(); });
    }
    lock.lock();
    if (answer) last_ = *std::move(answer);
    answered_ = steady_clock::now();
    asking_.reset();
    changed_.notify_all();
  }
}

void Readiness::drain() {
  {
    const std::lock_guard lock(drain_mutex_);
    draining_ = true;
  }
  drained_.notify_all();
}

bool Readiness::wait_for_drain(std::chrono::milliseconds patience) {
  std::unique_lock lock(drain_mutex_);
  return drained_.wait_for(lock, patience, [&] { return draining_.load(); });
}

}  // namespace capf::rpc
