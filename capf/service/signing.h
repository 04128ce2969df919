#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <set>

namespace capf::service {

/// Lets one call of each phone sign at a time, from before the signature until after its write: a phone that asks many
/// times at once costs no more signatures than its operation may have certificates. Threads: any.
class Signing {
 public:
  /// A phone's turn, which ends with this object.
  class Turn {
   public:
    Turn(Signing& signing, std::int64_t phone_id) : signing_(signing), phone_id_(phone_id) {}
    ~Turn() { signing_.end(phone_id_); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Signing& signing_;
    const std::int64_t phone_id_;
  };

  /// Takes the turn where no other call has it. Where one has, waits until that one has ended or the caller has left,
  /// and takes none: what the caller has looked at is old by then. @param gone may be empty. @return whether it is
  /// taken
  bool take(std::optional<Turn>& turn, std::int64_t phone_id, const std::function<bool()>& gone) {
    std::unique_lock lock(mutex_);
    if (phones_.insert(phone_id).second) {
      turn.emplace(*this, phone_id);
      return true;
    }
    while (phones_.contains(phone_id) && !has_left(gone, lock)) ended_.wait_for(lock, kBetweenLooks);
    return false;
  }

 private:
  static constexpr std::chrono::milliseconds kBetweenLooks{250};

  /// The caller is asked without the lock.
  static bool has_left(const std::function<bool()>& gone, std::unique_lock<std::mutex>& lock) {
    if (!gone) return false;
    lock.unlock();
    const bool left = gone();
    lock.lock();
    return left;
  }

  void end(std::int64_t phone_id) {
    const std::lock_guard lock(mutex_);
    phones_.erase(phone_id);
    ended_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable ended_;
  std::set<std::int64_t> phones_;  ///< whose turn somebody has
};

}  // namespace capf::service
