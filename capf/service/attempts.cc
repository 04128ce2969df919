#include "capf/service/attempts.h"

#include <algorithm>
#include <utility>

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

void Attempts::add(FailedAttempt attempt) {
  {
    const std::lock_guard lock(mutex_);
    const UnknownIssuer issuer = attempt.unknown_issuer.value_or(UnknownIssuer{});
    Key key(attempt.address_block, attempt.attempt.reason, attempt.device, issuer.name, issuer.key_identifier);
    const auto known = waiting_.find(key);
    if (known == waiting_.end() && waiting_.size() >= kMostWaiting) {
      ++dropped_;
      return;
    }
    Entry& entry = known == waiting_.end() ? waiting_[std::move(key)] : known->second;
    entry.last = std::move(attempt);
    ++entry.count;
    entry.place = ++places_;
  }
  changed_.notify_all();
}

void Attempts::add(const Address& address, const Error& error) {
  FailedAttempt failed;
  failed.address_block = address.block();
  failed.attempt.reason = error.reason;
  add(std::move(failed));
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
    const std::uint64_t dropped = dropped_ - std::exchange(told_, dropped_);
    writing_ = true;
    const bool last = stopping_;
    lock.unlock();
    if (dropped > 0) log_warning("attempts.dropped", {{"count", dropped}});
    write(std::move(round));
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
  for (const Entry& entry : order) {
    const bool given_up = why && why->code() == Code::kUnavailable;
    const Status written = given_up || stopping() ? Status(fail(Reason::kShuttingDown)) : write(entry);
    if (written) continue;
    lost += entry.count;
    if (!why) why = written.error();
  }
  if (why) log_error("record.failed", *why, {{"count", lost}});
}

Status Attempts::write(const Entry& entry) {
  const FailedAttempt& last = entry.last;
  const int count = std::min(entry.count, kMostCounted);
  return database_.write([&](Transaction& tx) -> Status {
    for (int i = 0; i < count; ++i) {
      CAPF_TRY(tx.audit().count_refusal(last.address_block, last.attempt.reason, last.device));
    }
    if (last.phone_id) CAPF_TRY(tx.phones().record_attempt(*last.phone_id, last.attempt));
    for (int i = 0; last.unknown_issuer && i < count; ++i) {
      CAPF_TRY(
          tx.anchors().note_candidate(*last.unknown_issuer, last.device, last.attempt.address, last.address_block));
    }
    return {};
  });
}

}  // namespace capf::service
