#include "storage/pool.h"

#include <algorithm>
#include <random>
#include <utility>

#include "capf/base/contained.h"
#include "storage/session.h"

namespace capf::storage {
namespace {

using Moment = std::chrono::steady_clock::time_point;

constexpr std::chrono::milliseconds kFirstPause{50};
constexpr std::chrono::milliseconds kLongestPause{1000};
constexpr std::chrono::milliseconds kBetweenLooks{500};

/// A random time between half and one and a half of it, so that connections that began together do not end together.
std::chrono::milliseconds about(std::chrono::milliseconds time) {
  thread_local std::minstd_rand generator{std::random_device{}()};
  return time * std::uniform_int_distribution<int>(50, 150)(generator) / 100;
}

/// Doubled with each failure.
std::chrono::milliseconds pause_after(int failures) {
  return about(std::min(kFirstPause * (1 << std::min(failures - 1, 8)), kLongestPause));
}

/// When a session is closed, PostgreSQL rolls back its open transaction and forgets its state.
bool is_reusable(const Connection& connection) {
  return connection.link.is_open() && connection.link.is_idle() && Moment::clock::now() < connection.end;
}

}  // namespace

Pool::Lease::Lease(Pool& pool, std::unique_ptr<Connection> connection, bool pooled)
    : pool_(&pool), connection_(std::move(connection)), pooled_(pooled) {}

Pool::Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)), connection_(std::move(other.connection_)), pooled_(other.pooled_) {}

Pool::Lease::~Lease() {
  if (pool_ != nullptr) pool_->give_back(std::move(connection_));
}

void Pool::Lease::discard() { pool_->discard(std::move(connection_)); }

Status Pool::Lease::renew() {
  discard();
  auto connection = pool_->connect();
  pool_->note_attempt(connection.has_value(), false);
  if (!connection) return fail(connection.error());
  connection_ = *std::move(connection);
  pooled_ = false;
  const std::lock_guard lock(pool_->mutex_);
  pool_->taken_.insert(connection_.get());
  return {};
}

Pool::Pool(LinkSettings settings, const Limits& limits)
    : settings_(std::move(settings)), limits_(limits), watch_([this] { watch(); }) {}

Pool::~Pool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  watch_.join();
}

Result<Pool::Lease> Pool::take(std::chrono::milliseconds wait) {
  bool again = false;
  {
    std::unique_lock lock(mutex_);
    ++waiting_;
    const bool free = returned_.wait_for(lock, wait, [&] { return !idle_.empty() || open_ < limits_.connections; });
    --waiting_;
    if (!free) return fail(Reason::kOverloaded);
    if (!idle_.empty()) {
      auto connection = std::move(idle_.back());
      idle_.pop_back();
      taken_.insert(connection.get());
      return Lease(*this, std::move(connection), true);
    }
    again = failures_ > 0;
    if (again && (trying_ || Moment::clock::now() < next_attempt_)) {
      returned_.notify_one();  // refuses the other waiters as well
      return fail(Reason::kDatabaseUnavailable, std::string(words(Reason::kDatabaseUnavailable)),
                  "not tried again yet after " + std::to_string(failures_) + " attempts");
    }
    trying_ = trying_ || again;
    ++open_;
  }
  auto connection = connect();
  note_attempt(connection.has_value(), again);
  if (!connection) {
    give_back(nullptr);
    return fail(connection.error());
  }
  const std::lock_guard lock(mutex_);
  taken_.insert(connection->get());
  return Lease(*this, *std::move(connection), false);
}

void Pool::note_attempt(bool connected, bool again) {
  const std::lock_guard lock(mutex_);
  if (again) trying_ = false;
  if (connected) {
    failures_ = 0;
  } else if (again || failures_ == 0) {  // of attempts that began together only the first one counts
    next_attempt_ = Moment::clock::now() + pause_after(++failures_);
  }
}

Result<std::unique_ptr<Connection>> Pool::connect() const {
  try {
    auto connection = std::make_unique<Connection>(settings_);
    connection->end = Moment::clock::now() + about(limits_.life);
    return connection;
  } catch (...) {
    Error error = fault_of(std::current_exception(), false, Phase::kBegin).error;
    return fail(std::move(error));
  }
}

void Pool::give_back(std::unique_ptr<Connection> connection) {
  std::unique_ptr<Connection> closing;  // destroyed outside of the lock
  {
    const std::lock_guard lock(mutex_);
    taken_.erase(connection.get());
    if (connection != nullptr && is_reusable(*connection)) {
      idle_.push_back(std::move(connection));
    } else {
      closing = std::move(connection);
      --open_;
    }
  }
  returned_.notify_one();
}

void Pool::discard(std::unique_ptr<Connection> connection) {
  const std::lock_guard lock(mutex_);
  taken_.erase(connection.get());
}

/// Cuts connections whose server keeps its socket but does not answer, which TCP cannot notice; and closes idle ones
/// that are too old.
void Pool::watch() {
  std::vector<std::unique_ptr<Connection>> closing;
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, kBetweenLooks, [this] { return stopping_; })) {
    run_contained("work.failed", [&] {
      const Moment now = Moment::clock::now();
      for (const Connection* connection : taken_) {
        const Moment asked = connection->asked;
        if (asked != Moment{} && now - asked > limits_.answer) connection->cut();
      }
      const auto old = std::partition(idle_.begin(), idle_.end(), [&](const auto& idle) { return now < idle->end; });
      closing.assign(std::move_iterator(old), std::move_iterator(idle_.end()));
      idle_.erase(old, idle_.end());
      open_ -= static_cast<int>(closing.size());
    });
    lock.unlock();
    closing.clear();
    lock.lock();
  }
}

void Pool::close_idle() {
  std::vector<std::unique_ptr<Connection>> closing;
  {
    const std::lock_guard lock(mutex_);
    closing.swap(idle_);
    open_ -= static_cast<int>(closing.size());
  }
  returned_.notify_all();
}

PoolUse Pool::use() const {
  const std::lock_guard lock(mutex_);
  return {limits_.connections, open_, open_ - static_cast<int>(idle_.size()), waiting_};
}

}  // namespace capf::storage
