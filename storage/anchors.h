#pragma once

#include "capf/domain/anchor_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class Anchors final : public AnchorStore {
 public:
  explicit Anchors(Session& session) : session_(session) {}
  Result<bool> add(const TrustAnchor& anchor) override;
  Result<std::vector<TrustAnchor>> list() override;
  Result<bool> remove(const Sha256& sha256) override;
  Result<std::int64_t> revision() override;
  Result<std::vector<TrustCandidate>> candidates() override;
  Status prune_candidates() override;

 private:
  Session& session_;
};

}  // namespace capf::storage
