#pragma once

#include "capf/domain/security_change_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class SecurityChanges final : public SecurityChangeStore {
 public:
  explicit SecurityChanges(Session& session) : session_(session) {}
  Result<std::vector<SecurityChange>> list(const ChangeCursor& cursor, int limit) override;
  Result<int> tell_ends(int limit) override;
  Result<int> forget(std::chrono::hours age, int limit) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
