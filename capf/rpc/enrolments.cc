#include "capf/rpc/enrolments.h"

#include <utility>
#include <vector>

#include "capf/base/contained.h"

namespace capf::rpc {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTick{250};

}  // namespace

Enrolments::Enrolments(const Readiness& readiness, std::size_t most)
    : readiness_(readiness), most_(most), watcher_([this] { watch(); }) {}

Enrolments::~Enrolments() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  watcher_.join();
}

void Enrolments::add(const std::shared_ptr<OpenEnrolment>& call) {
  bool closed = false;
  {
    const std::lock_guard lock(mutex_);
    calls_[call.get()] = {call};
    closed = closed_.has_value();
  }
  if (closed) call->end(Error::of(Reason::kShuttingDown));
}

Status Enrolments::enter(const OpenEnrolment& call, std::int64_t phone_id, const DialogueNumber& number) {
  std::shared_ptr<OpenEnrolment> replaced;
  {
    const std::lock_guard lock(mutex_);
    const auto before = dialogues_.find(phone_id);
    if (before == dialogues_.end() && dialogues_.size() >= most_) {
      return fail(Reason::kOverloaded, "there are as many enrolments as the server allows");
    }
    if (before != dialogues_.end()) {
      if (before->second.number > number) return fail(Reason::kSessionReplaced);
      Entry& entry = calls_.at(before->second.call);
      entry.phone_id = 0;
      replaced = entry.call.lock();
    }
    dialogues_[phone_id] = {&call, number};
    calls_.at(&call).phone_id = phone_id;
  }
  if (replaced) replaced->end(Error::of(Reason::kSessionReplaced));
  return {};
}

void Enrolments::leave(const OpenEnrolment& call) {
  const std::lock_guard lock(mutex_);
  const auto entry = calls_.find(&call);
  if (entry == calls_.end()) return;
  if (entry->second.phone_id != 0) dialogues_.erase(entry->second.phone_id);
  calls_.erase(entry);
}

void Enrolments::close() {
  std::vector<std::shared_ptr<OpenEnrolment>> open;
  {
    const std::lock_guard lock(mutex_);
    if (!closed_) closed_ = steady_clock::now();
    for (const auto& [key, entry] : calls_) open.push_back(entry.call.lock());
  }
  for (const auto& call : open) {
    if (call) run_contained("work.failed", [&] { call->end(Error::of(Reason::kShuttingDown)); });
  }
}

bool Enrolments::closed_for(std::chrono::milliseconds time) const {
  const std::lock_guard lock(mutex_);
  return closed_ && steady_clock::now() - *closed_ >= time;
}

void Enrolments::watch() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kTick, [this] { return stopping_; })) {
    lock.unlock();
    run_contained("work.failed", [this] { look_around(); });
    lock.lock();
  }
}

void Enrolments::look_around() {
  std::vector<std::shared_ptr<OpenEnrolment>> open;
  bool drain = false;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, entry] : calls_) open.push_back(entry.call.lock());
    drain = readiness_.draining() && !closed_;
  }
  const auto now = steady_clock::now();
  for (const auto& call : open) {
    if (call) run_contained("work.failed", [&] { call->tick(now); });
  }
  open.clear();
  if (drain) close();
}

}  // namespace capf::rpc
