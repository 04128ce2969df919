#pragma once

#include <mutex>
#include <set>

namespace capf::net {

/// The connections of a listener that run now, so that it can ask all of them to end. Threads: any.
template <class Connection>
class Present {
 public:
  Present() = default;
  Present(const Present&) = delete;
  Present& operator=(const Present&) = delete;

  /// A connection is present for as long as this lives, and outlives it.
  class Presence {
   public:
    Presence(Present& present, Connection& connection) : present_(present), connection_(connection) {
      const std::lock_guard lock(present_.mutex_);
      present_.connections_.insert(&connection_);
    }
    Presence(const Presence&) = delete;
    Presence& operator=(const Presence&) = delete;
    ~Presence() {
      const std::lock_guard lock(present_.mutex_);
      present_.connections_.erase(&connection_);
    }

   private:
    Present& present_;
    Connection& connection_;
  };

  /// Calls dismiss(all) of each, with the lock held, so that none of them may wait for a connection's end.
  void dismiss(bool all) {
    const std::lock_guard lock(mutex_);
    for (Connection* connection : connections_) connection->dismiss(all);
  }

 private:
  std::mutex mutex_;
  std::set<Connection*> connections_;
};

}  // namespace capf::net
