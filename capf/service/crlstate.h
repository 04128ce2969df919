#pragma once

#include <map>
#include <mutex>
#include <string>

#include "capf/base/error.h"
#include "capf/service/publisher.h"

namespace capf::service {

/// Whether this server has the CRLs that are due: one that failed to build, fetch or write the next CRL of a shard
/// twice in a row is not ready, because relying parties would learn of no revocation from it. Threads: any.
class CrlState {
 public:
  /// After each round, of every shard.
  void report(const ShardState& state) {
    const std::lock_guard lock(mutex_);
    failing_.erase(state.shard);
    if (state.error && state.failures >= kFailures) failing_.emplace(state.shard, *state.error);
  }
  /// Errors: that of a failing shard, which the message names.
  Status check() const {
    const std::lock_guard lock(mutex_);
    if (failing_.empty()) return {};
    const auto& [shard, error] = *failing_.begin();
    return fail(error.reason,
                "the next CRL of issuer " + std::to_string(shard.issuer_id) + ", shard " + std::to_string(shard.shard) +
                    ", is not published: " + error.message,
                error.cause);
  }

 private:
  static constexpr int kFailures = 2;
  mutable std::mutex mutex_;
  std::map<CrlShard, Error> failing_;
};

}  // namespace capf::service
