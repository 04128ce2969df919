#pragma once

#include "capf/domain/server_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class Servers final : public ServerStore {
 public:
  explicit Servers(Session& session) : session_(session) {}
  Status see(const ServerRecord& server) override;
  Status remove(const std::string& name) override;
  Result<std::vector<ServerRecord>> alive() override;
  Result<std::vector<ServerRecord>> silent() override;

 private:
  Session& session_;
};

}  // namespace capf::storage
