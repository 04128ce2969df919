#pragma once

#include <cstddef>
#include <mutex>
#include <unordered_set>

#include "capf/base/bytes.h"

namespace capf::rpc {

/// The client certificates that authenticated a caller lately, as opposed to self-made ones that any client can show.
/// Only decides in which queue a call waits, not what it may do. Threads: any.
class ProvenCertificates {
 public:
  /// @param most of them at once, 2 at least; the ones that were added longest ago are forgotten, half of them at a
  /// time.
  explicit ProvenCertificates(std::size_t most) : generation_(most / 2) {}

  void add(const Sha256& leaf);
  void forget(const Sha256& leaf);
  bool contains(const Sha256& leaf) const;

 private:
  struct Hash {
    std::size_t operator()(const Sha256& sha256) const;
  };
  using Set = std::unordered_set<Sha256, Hash>;

  const std::size_t generation_;
  mutable std::mutex mutex_;
  Set young_;
  Set old_;
};

}  // namespace capf::rpc
