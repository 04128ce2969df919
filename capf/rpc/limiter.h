#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

namespace capf::rpc {

struct Capacity {
  int running = 1;
  int waiting = 0;
};

/// Lets so many run at once and so many wait for their turn. Threads: any.
class Limiter {
 public:
  explicit Limiter(Capacity capacity) : capacity_(capacity) {}

  /// A place among the running, as long as it lives.
  class Place {
   public:
    Place(Place&& other) noexcept : limiter_(std::exchange(other.limiter_, nullptr)) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (limiter_ != nullptr) limiter_->leave();
    }

    const Limiter* limiter() const { return limiter_; }

   private:
    friend class Limiter;
    explicit Place(Limiter* limiter) : limiter_(limiter) {}
    Limiter* limiter_;
  };

  /// Nothing where too many wait already, or no place became free until `deadline`.
  std::optional<Place> enter(std::chrono::system_clock::time_point deadline);
  /// A place if there is one now.
  std::optional<Place> try_enter();
  int running() const;

 private:
  void leave();

  const Capacity capacity_;
  mutable std::mutex mutex_;
  std::condition_variable freed_;
  int running_ = 0;
  int waiting_ = 0;
};

}  // namespace capf::rpc
