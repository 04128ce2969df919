#pragma once

#include "capf/domain/block_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class Blocks final : public BlockStore {
 public:
  explicit Blocks(Session& session) : session_(session) {}
  Status lock() override;
  Result<bool> add(const BlockedCertificate& certificate) override;
  Result<std::optional<BlockedCertificate>> find(const Sha256& sha256) override;
  Result<std::vector<BlockedCertificate>> find_beginning(const std::string& hexadecimal) override;
  Status remove(std::int64_t id) override;
  Result<std::vector<BlockedCertificate>> list(const Page& page) override;
  Result<bool> bring_back(const std::string& row) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
