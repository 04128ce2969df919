#pragma once

#include "capf/domain/crl_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class Crls final : public CrlStore {
 public:
  explicit Crls(Session& session) : session_(session) {}
  Result<std::optional<CrlRecord>> newest(const CrlShard& shard) override;
  Result<bool> behind(std::span<const CrlMark> marks) override;
  Result<std::vector<Revocation>> revocations(const CrlShard& shard, TimePoint expires_after,
                                              const std::optional<SerialNumber>& after, int limit) override;
  Result<std::vector<std::int64_t>> changes(const CrlShard& shard, int limit) override;
  Status forget_changes(const CrlShard& shard, std::span<const std::int64_t> ids) override;
  Result<bool> add(const CrlRecord& crl) override;
  Status add_piece(const CrlRecord& crl, int position, BytesView data) override;
  Result<std::optional<Bytes>> piece(const CrlRecord& crl, int position) override;
  Result<BroughtBack> bring_back(const CrlShard& shard, std::span<const Revocation> entries,
                                 TimePoint expires_at) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
