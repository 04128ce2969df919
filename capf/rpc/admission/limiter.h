#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace capf::rpc {

struct Capacity {
  int running = 1;
  int waiting = 0;
  /// The most of both that one caller may have; less where others have so many that few are left.
  int each = running + waiting;
};

/// Lets so many run at once and so many wait for their turn. Threads: any.
class Limiter {
 public:
  explicit Limiter(const Capacity& capacity) : capacity_(capacity) {}

  /// A place among the running calls, for the object's life.
  class Place {
   public:
    Place(Place&& other) noexcept
        : limiter_(std::exchange(other.limiter_, nullptr)), caller_(std::move(other.caller_)) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (limiter_ != nullptr) limiter_->leave(caller_);
    }

    const Limiter* limiter() const { return limiter_; }

   private:
    friend class Limiter;
    Place(Limiter* limiter, std::string caller) : limiter_(limiter), caller_(std::move(caller)) {}
    Limiter* limiter_;
    std::string caller_;
  };

  /// Nothing where too many wait already, or too many of this caller's, or no place became free until `deadline`.
  std::optional<Place> enter(std::chrono::system_clock::time_point deadline, const std::string& caller = {});
  /// A place if there is one now.
  std::optional<Place> try_enter();
  int running() const;

 private:
  /// Whether a caller with so many places may have another one, if there is one; the caller holds the lock.
  bool has_share(int own) const;
  void leave(const std::string& caller);
  void forget(const std::string& caller);  ///< frees one place; the caller holds the lock

  const Capacity capacity_;
  mutable std::mutex mutex_;
  std::condition_variable freed_;
  int running_ = 0;
  int waiting_ = 0;
  std::unordered_map<std::string, int> by_caller_;
};

}  // namespace capf::rpc
