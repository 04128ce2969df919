#pragma once

#include "capf/domain/secrets_key_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class SecretsKeys final : public SecretsKeyStore {
 public:
  explicit SecretsKeys(Session& session) : session_(session) {}
  Result<bool> add(const SecretsKeyRecord& key) override;
  Result<std::vector<SecretsKeyRecord>> list() override;
  Result<int> hold_active() override;
  Status activate(int generation) override;
  Status remove_below(int generation) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
