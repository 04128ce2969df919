#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "capf/base/address.h"

namespace capf::net {

/// How many connections a port holds at once. A peer that has not authenticated is a stranger.
struct ConnectionLimits {
  std::size_t all;
  std::size_t of_one;            ///< of all, from one IPv4 address or one IPv6 /64
  std::size_t strangers;         ///< of all
  std::size_t strangers_of_one;  ///< of those, from one IPv4 address or one IPv6 /64
  /// Where there is no room, a stranger that has stayed for so long gives way to the next one.
  std::chrono::milliseconds gives_way;
  std::chrono::milliseconds longest;  ///< how long a stranger may stay
};

/// Numbers of one port since its start.
struct ConnectionCounts {
  std::size_t all = 0;        ///< now
  std::size_t strangers = 0;  ///< now, of those
  std::int64_t came = 0;      ///< in total
  std::int64_t refused = 0;   ///< in total, of those: for want of room
  std::int64_t cut = 0;       ///< in total, of those: strangers that gave way or stayed for too long
};

/// The connections of a port. Threads: any.
class Connections {
  struct Entry;
  using Entries = std::list<Entry>;

 public:
  using Moment = std::chrono::steady_clock::time_point;

  explicit Connections(const ConnectionLimits& limits) : limits_(limits) {}
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  /// A place, as long as it lives; not longer than the Connections. A stranger's at first.
  class Place {
   public:
    Place(Place&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)), entry_(other.entry_) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (owner_ != nullptr) owner_->leave(entry_);
    }

    /// @param cut ends the connection. It is called once at most, while the place lives and a lock is held: it must not
    /// call back into Connections. Called at once where the place has been cut already.
    void on_cut(std::function<void()> cut);
    /// The peer has authenticated: it is no longer a stranger.
    void prove();
    /// The peer is a stranger again, as if it had come now.
    void lapse(Moment now);

   private:
    friend class Connections;
    Place(Connections* owner, Entries::iterator entry) : owner_(owner), entry_(entry) {}
    Connections* owner_;
    Entries::iterator entry_;
  };

  /// @return nothing where there is no room.
  std::optional<Place> enter(const Address& peer, Moment now);
  /// Cuts off the strangers that have stayed for too long.
  void cut_overdue(Moment now);
  /// @return whether no connection is left.
  bool wait_until_empty(std::chrono::microseconds patience);
  ConnectionCounts counts() const;

 private:
  struct Block {
    std::size_t all = 0;
    std::list<Entries::iterator> strangers;  ///< oldest first
  };
  using Blocks = std::unordered_map<std::string, Block>;

  struct Entry {
    Entries* in;                                   ///< the list that it is in
    Blocks::value_type* from;                      ///< null once it is cut
    std::list<Entries::iterator>::iterator among;  ///< its position among the block's strangers, while it is one
    Moment since;
    std::function<void()> cut;
  };

  // The callers of the functions below hold the lock.
  void leave(Entries::iterator entry);
  bool make_room(const std::string& block, Moment now);
  void cut(Entries::iterator stranger);
  void leave_block(Entry& entry);
  bool is_empty() const { return strangers_.empty() && known_.empty() && cut_.empty(); }

  const ConnectionLimits limits_;
  mutable std::mutex mutex_;
  std::condition_variable emptied_;
  Entries strangers_;  ///< oldest first
  Entries known_;
  Entries cut_;  ///< being closed, not counted any more
  Blocks blocks_;
  std::int64_t came_ = 0;
  std::int64_t refused_ = 0;
  std::int64_t all_cut_ = 0;
};

}  // namespace capf::net
