#pragma once

// capf/net/asio.h must come first: see there.
// clang-format off
#include "capf/net/asio.h"

#include <boost/asio/thread_pool.hpp>
// clang-format on

#include <cstddef>
#include <utility>

#include "capf/base/contained.h"

namespace capf::net {

/// Threads for work that blocks. An exception of work is logged, and its thread continues: Asio's pool would end the
/// program. Threads: any.
class Pool {
 public:
  explicit Pool(std::size_t threads) : pool_(threads) {}

  template <class Work>
  void post(Work work) {
    asio::post(pool_, [work = std::move(work)]() mutable { run_contained("work.failed", work); });
  }
  /// Begins no more work.
  void stop() { pool_.stop(); }
  /// Waits until the work is done.
  void join() { pool_.join(); }

 private:
  asio::thread_pool pool_;
};

}  // namespace capf::net
