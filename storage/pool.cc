#include "storage/pool.h"

#include <utility>

#include "storage/session.h"

namespace capf::storage {

Pool::Lease::Lease(Pool& pool, std::unique_ptr<Connection> connection)
    : pool_(&pool), connection_(std::move(connection)) {}

Pool::Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)), connection_(std::move(other.connection_)) {}

Pool::Lease::~Lease() {
  if (pool_ != nullptr) pool_->give_back(std::move(connection_));
}

void Pool::Lease::discard() { connection_.reset(); }

Pool::Pool(std::string conninfo, int size) : conninfo_(std::move(conninfo)), size_(size) {}

Pool::~Pool() = default;

Result<Pool::Lease> Pool::take(std::chrono::milliseconds wait) {
  {
    std::unique_lock lock(mutex_);
    ++waiting_;
    const bool free = returned_.wait_for(lock, wait, [&] { return !idle_.empty() || open_ < size_; });
    --waiting_;
    if (!free) return fail(Reason::kOverloaded);
    if (!idle_.empty()) {
      auto connection = std::move(idle_.back());
      idle_.pop_back();
      return Lease(*this, std::move(connection));
    }
    ++open_;
  }
  auto connection = connect();
  if (!connection) {
    give_back(nullptr);
    return tl::unexpected<Error>(connection.error());
  }
  return Lease(*this, *std::move(connection));
}

Result<std::unique_ptr<Connection>> Pool::connect() const {
  try {
    return std::make_unique<Connection>(conninfo_);
  } catch (...) {
    Error error = fault_of(std::current_exception(), false).error;
    return tl::unexpected<Error>(std::move(error));
  }
}

void Pool::give_back(std::unique_ptr<Connection> connection) {
  std::unique_ptr<Connection> broken;  // closed outside of the lock
  {
    const std::lock_guard lock(mutex_);
    if (connection != nullptr && connection->link.is_open()) {
      idle_.push_back(std::move(connection));
    } else {
      broken = std::move(connection);
      --open_;
    }
  }
  returned_.notify_one();
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
  return {size_, open_, open_ - static_cast<int>(idle_.size()), waiting_};
}

}  // namespace capf::storage
