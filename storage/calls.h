#pragma once

#include "capf/domain/call_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class Calls final : public CallStore {
 public:
  explicit Calls(Session& session) : session_(session) {}
  Result<std::vector<PartyFacts>> look(std::span<const CallParty> parties) override;
  Result<bool> trust(const TrustedParty& party) override;
  Result<std::optional<TrustedParty>> distrust(PartyKind kind, const std::string& name) override;
  Result<std::optional<TrustedParty>> withdraw(const std::string& row, const std::string& by) override;
  Result<std::vector<TrustedParty>> list_trusted(const Page& page) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
