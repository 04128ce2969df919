#pragma once

#include "capf/domain/seal_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class Seals final : public SealStore {
 public:
  explicit Seals(Session& session) : session_(session) {}
  Result<bool> adopt_cluster() override;
  Status lock() override;
  Result<std::optional<AuditSeal>> last() override;
  Result<std::optional<AuditSeal>> find(std::int64_t number) override;
  Result<std::vector<AuditSeal>> list(std::int64_t after, int limit) override;
  Status add(const AuditSeal& seal) override;
  Status add_remark(const SealRemark& remark) override;
  Result<std::vector<SealRemark>> remarks(std::int64_t first, std::int64_t last) override;
  Status try_place() override;
  Result<std::vector<PlacedRecord>> unsealed(const ChangeCursor& after, int limit) override;
  Result<std::vector<PlacedRecord>> events(const ChangeCursor& after, const ChangeCursor& last, int limit) override;
  Result<UnsealedEvents> after(const ChangeCursor& cursor) override;
  Result<std::optional<Bytes>> key() override;
  Result<bool> set_key(BytesView spki) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
