#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/domain/issuer.h"

namespace capf {

class AnchorStore {
 public:
  virtual ~AnchorStore() = default;
  /// @return false where it is in a store already.
  virtual Result<bool> add(const TrustAnchor& anchor) = 0;
  virtual Result<std::vector<TrustAnchor>> list() = 0;
  /// @return false where there is none.
  virtual Result<bool> remove(const Sha256& sha256) = 0;
  /// Changes with every add and remove: anchors that were read under one number are still right under the same number.
  virtual Result<std::int64_t> revision() = 0;
  /// Those that were shown in the last 24 hours, those with the most certificates first.
  virtual Result<std::vector<TrustCandidate>> candidates() = 0;
  /// Drops those that were not.
  virtual Status prune_candidates() = 0;
};

}  // namespace capf
