#include "capf/service/attempts.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "capf/base/contained.h"
#include "capf/base/log.h"

namespace capf::service {

Attempts::~Attempts() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  writer_.join();
}

void Attempts::add(RefusalRecord refusal) {
  {
    const std::lock_guard lock(mutex_);
    const UnknownIssuer issuer = refusal.unknown_issuer.value_or(UnknownIssuer{});
    Key key(refusal.address_block, refusal.attempt.reason, refusal.device, issuer.name, issuer.key_identifier);
    const auto known = waiting_.find(key);
    if (known == waiting_.end() && waiting_.size() >= kMostWaiting) {
      ++dropped_;
      return;
    }
    Entry& entry = known == waiting_.end() ? waiting_[std::move(key)] : known->second;
    refusal.count += known == waiting_.end() ? 0 : entry.last.count;
    entry.last = std::move(refusal);
    entry.place = ++places_;
  }
  changed_.notify_all();
}

void Attempts::add(const Address& address, const Error& error) {
  RefusalRecord refusal;
  refusal.address_block = address.block();
  refusal.attempt.reason = error.reason;
  add(std::move(refusal));
}

bool Attempts::drain(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  ++draining_;
  changed_.notify_all();
  const bool drained = changed_.wait_for(lock, patience, [this] { return waiting_.empty() && !writing_; });
  --draining_;
  return drained;
}

std::uint64_t Attempts::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

bool Attempts::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

void Attempts::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    Entries round = std::exchange(waiting_, {});
    const std::uint64_t dropped = dropped_ - std::exchange(reported_, dropped_);
    writing_ = true;
    const bool last = stopping_;
    lock.unlock();
    run_contained("record.failed", [&] {
      if (dropped > 0) log_warning("attempts.dropped", {{"count", dropped}});
      write(std::move(round));
    });
    lock.lock();
    writing_ = false;
    changed_.notify_all();
    if (last) return;
    changed_.wait_for(lock, kRest, [this] { return stopping_ || draining_ > 0; });
  }
}

void Attempts::write(Entries entries) {
  std::vector<Entry> order;
  for (auto& [key, entry] : entries) order.push_back(std::move(entry));
  std::ranges::sort(order, {}, &Entry::place);
  std::int64_t lost = 0;
  std::optional<Error> why;
  for (std::size_t start = 0; start < order.size(); start += kAtOnce) {
    std::vector<RefusalRecord> some;
    std::int64_t count = 0;
    for (std::size_t i = start; i < std::min(start + kAtOnce, order.size()); ++i) {
      count += order[i].last.count;
      some.push_back(std::move(order[i].last));
      some.back().count = std::min(some.back().count, kMostCounted);
    }
    const bool given_up = why && why->code() == Code::kUnavailable;
    const Status written = given_up || stopping() ? Status(fail(Reason::kShuttingDown)) : rounds_.record(some);
    if (written) continue;
    lost += count;
    if (!why) why = written.error();
  }
  if (why) log_error("record.failed", *why, {{"count", lost}});
}

}  // namespace capf::service
