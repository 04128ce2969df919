#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "capf/base/error.h"
#include "storage/conninfo.h"

namespace capf::storage {

struct Connection;

/// The use of a pool at one moment.
struct PoolUse {
  int size = 0;  ///< the most connections
  int open = 0;
  int in_use = 0;
  int waiting = 0;  ///< threads that wait for one
};

/// Connections to one database, made when they are needed. Only one that is open, idle and younger than its longest
/// life goes back into the pool; any other is closed, so that a fault of a session never outlives it, and a changed
/// setting of the role or the database counts within that life. While the database cannot be reached, one caller at a
/// time tries, after random pauses that grow to a second or so; the others are refused at once. A caller that waits for
/// an answer longer than any answer may take gets a lost connection. Threads: any.
class Pool {
 public:
  /// A connection for the caller alone, given back when the lease ends. Must not outlive the pool.
  class Lease {
   public:
    Lease(Pool& pool, std::unique_ptr<Connection> connection, bool pooled);
    Lease(Lease&&) noexcept;
    Lease& operator=(Lease&&) = delete;
    ~Lease();

    Connection& connection() { return *connection_; }
    /// Whether the connection was used before.
    bool pooled() const { return pooled_; }
    /// Replaces the connection by a new one. After an error there is none.
    Status renew();
    /// Marks the connection as not to be used again.
    void discard();

   private:
    Pool* pool_;
    std::unique_ptr<Connection> connection_;
    bool pooled_;
  };

  struct Limits {
    int connections = 16;
    std::chrono::milliseconds answer;  ///< the longest wait for an answer; then the connection is cut
    std::chrono::milliseconds life;    ///< of a connection, about
  };

  /// @param settings as link_settings() makes them.
  Pool(LinkSettings settings, const Limits& limits);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// OVERLOADED where none comes free in `wait`; DATABASE_UNAVAILABLE where the database cannot be reached.
  Result<Lease> take(std::chrono::milliseconds wait);
  /// Closes the idle ones: after one broke, the others are probably broken too.
  void close_idle();
  PoolUse use() const;

 private:
  Result<std::unique_ptr<Connection>> connect() const;
  /// Notes the result of an attempt to connect; `again` for the one caller that tries while others are refused.
  void note_attempt(bool connected, bool again);
  void give_back(std::unique_ptr<Connection> connection);
  void discard(std::unique_ptr<Connection> connection);
  void watch();

  const LinkSettings settings_;
  const Limits limits_;
  mutable std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Connection>> idle_;
  std::set<Connection*> taken_;
  int open_ = 0;
  int waiting_ = 0;
  int failures_ = 0;  ///< attempts in a row that failed
  bool trying_ = false;
  std::chrono::steady_clock::time_point next_attempt_{};
  bool stopping_ = false;
  std::condition_variable stopped_;
  std::thread watch_;
};

}  // namespace capf::storage
