#pragma once

#include <chrono>
#include <functional>

#include "storage/pool.h"
#include "storage/session.h"

namespace capf::storage {

/// The result of work in a session. `remedy` says what a fault calls for.
struct RunResult {
  Status status;
  Remedy remedy = Remedy::kGiveUp;
  std::string cause{};  ///< of the fault
};

/// Runs work in sessions of a pool, and knows what to do after a fault. Threads: any.
class Runner {
 public:
  using Work = std::function<Status(Session&)>;

  /// @param settings as link_settings() makes them
  Runner(LinkSettings settings, const Pool::Limits& limits, std::chrono::milliseconds wait)
      : takes_standby_(storage::takes_standby(settings.conninfo)), pool_(std::move(settings), limits), wait_(wait) {}

  /// Runs the work, which begins and commits by itself, from its start again after a fault that calls for that: up to
  /// six times, with pauses. COMMIT_IN_DOUBT where the connection was lost during the commit.
  Status run(const Work& work) { return run(work, wait_); }
  /// @param wait for a connection
  Status run(const Work& work, std::chrono::milliseconds wait);
  /// Runs it once, for work that rests on what was read before: nothing is repeated.
  RunResult run_once(const Work& work);

  PoolUse use() const { return pool_.use(); }

 private:
  /// Closes a connection that is not to be used again. @return what is left to do
  Remedy after(Pool::Lease& lease, const RunResult& outcome);

  const bool takes_standby_;
  Pool pool_;
  const std::chrono::milliseconds wait_;
};

}  // namespace capf::storage
