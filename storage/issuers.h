#pragma once

#include "capf/domain/issuer_store.h"
#include "storage/columns.h"
#include "storage/session.h"

namespace capf::storage {

/// An issuer as other aggregates' statements select it too, by the alias i.
inline constexpr char kIssuerColumns[] =
    "i.id, i.subject, i.sha256, i.der, i.chain_der, microseconds(i.not_before), microseconds(i.not_after), i.active, "
    "i.shards, microseconds(i.added_at), microseconds(i.activated_at), microseconds(i.retired_at)";
IssuerRecord read_issuer(Columns& columns);

/// Lives as long as its transaction's session.
class Issuers final : public IssuerStore {
 public:
  explicit Issuers(Session& session) : session_(session) {}
  Result<std::int64_t> lock() override;
  Result<std::int64_t> add(const IssuerRecord& issuer) override;
  Result<std::optional<IssuerRecord>> active() override;
  Result<std::optional<std::int64_t>> active_id() override;
  Result<std::optional<IssuerRecord>> find(std::int64_t id) override;
  Result<bool> activate(std::int64_t id) override;
  Result<bool> retire(std::int64_t id) override;
  Result<IssuerUse> use(std::int64_t id) override;
  Result<std::vector<IssuerRecord>> list() override;

 private:
  Session& session_;
};

}  // namespace capf::storage
