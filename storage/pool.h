#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "capf/base/error.h"

namespace capf::storage {

struct Connection;

/// How a pool is used at one moment.
struct PoolUse {
  int size = 0;  ///< the most connections
  int open = 0;
  int in_use = 0;
  int waiting = 0;  ///< threads that wait for one
};

/// Connections to one database, made when they are needed. A connection that broke is thrown away. Threads: any.
class Pool {
 public:
  /// A connection that is the caller's alone; it goes back when the lease ends. Must not outlive the pool.
  class Lease {
   public:
    Lease(Pool& pool, std::unique_ptr<Connection> connection);
    Lease(Lease&&) noexcept;
    Lease& operator=(Lease&&) = delete;
    ~Lease();

    Connection& connection() { return *connection_; }
    /// The connection is not to be used again.
    void discard();

   private:
    Pool* pool_;
    std::unique_ptr<Connection> connection_;
  };

  /// @param conninfo as session_conninfo() makes it.
  Pool(std::string conninfo, int size);
  ~Pool();

  /// OVERLOADED where none comes free in `wait`; DATABASE_UNAVAILABLE where the database cannot be reached.
  Result<Lease> take(std::chrono::milliseconds wait);
  /// Closes the idle ones: after one broke, the others are probably broken too.
  void close_idle();
  PoolUse use() const;

 private:
  Result<std::unique_ptr<Connection>> connect() const;
  void give_back(std::unique_ptr<Connection> connection);

  const std::string conninfo_;
  const int size_;
  mutable std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Connection>> idle_;
  int open_ = 0;
  int waiting_ = 0;
};

}  // namespace capf::storage
