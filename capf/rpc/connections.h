#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "capf/base/endpoint.h"

namespace capf::rpc {

/// How many connections a server holds at once. Whoever has not proven who they are is a stranger.
struct ConnectionLimits {
  std::size_t all;
  std::size_t strangers;         ///< of all
  std::size_t strangers_of_one;  ///< of those, from one IPv4 address or one IPv6 /64
  /// A stranger who has been there for that long gives way to the next one where there is no room.
  std::chrono::milliseconds gives_way;
  std::chrono::milliseconds longest;  ///< a stranger may stay
};

/// The connections of a server. Threads: any.
class Connections {
  struct Entry;
  using Entries = std::list<Entry>;

 public:
  using Moment = std::chrono::steady_clock::time_point;

  explicit Connections(const ConnectionLimits& limits) : limits_(limits) {}
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  /// A place, as long as it lives; not longer than the Connections.
  class Place {
   public:
    Place(Place&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)), entry_(other.entry_) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (owner_ != nullptr) owner_->leave(entry_);
    }

   private:
    friend class Connections;
    Place(Connections* owner, Entries::iterator entry) : owner_(owner), entry_(entry) {}
    Connections* owner_;
    Entries::iterator entry_;
  };

  /// @param cut ends the connection. It is called once at most, while the place lives and a lock is held: it must not
  /// come back here. @return nothing where there is no room.
  std::optional<Place> enter(const Endpoint& peer, std::function<void()> cut, Moment now);
  /// The one over there is no stranger any more.
  void prove(const Endpoint& peer);
  /// Cuts off the strangers who have been there for too long.
  void cut_overdue(Moment now);

 private:
  struct Entry {
    Entries* in;  ///< the list that it is in
    std::string peer;
    std::string block;
    Moment since;
    std::function<void()> cut;
  };

  void leave(Entries::iterator entry);
  /// What follows is locked.
  bool make_room(const std::string& block, Moment now);
  void cut(Entries::iterator stranger);
  void forget_stranger(const std::string& block);

  const ConnectionLimits limits_;
  std::mutex mutex_;
  Entries strangers_;  ///< oldest first
  Entries known_;
  Entries cut_;  ///< on their way out, counted no more
  std::unordered_map<std::string, std::size_t> strangers_by_block_;
  std::unordered_multimap<std::string, Entries::iterator> by_peer_;  ///< one peer may call several addresses of ours
};

}  // namespace capf::rpc
