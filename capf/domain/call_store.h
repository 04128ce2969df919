#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "capf/base/error.h"
#include "capf/domain/call.h"
#include "capf/domain/page.h"

namespace capf {

/// The record of the parties of calls.
class CallStore {
 public:
  virtual ~CallStore() = default;
  /// One statement. @param parties up to kMostParties and one. @return one for each, in their order
  virtual Result<std::vector<PartyFacts>> look(std::span<const CallParty> parties) = 0;

  /// Adds the party, or gives it another level. @return false where it has that level already.
  virtual Result<bool> trust(const TrustedParty& party) = 0;
  /// @return what was removed; nothing where it was not trusted.
  virtual Result<std::optional<TrustedParty>> distrust(PartyKind kind, const std::string& name) = 0;
  /// Trusts the party no more than the row of its withdrawal says, where it is trusted further. @return the party with
  /// the level that is left, which is nonsecure where it was removed
  virtual Result<std::optional<TrustedParty>> withdraw(const std::string& row, const std::string& by) = 0;
  virtual Result<std::vector<TrustedParty>> list_trusted(const Page& page) = 0;
};

}  // namespace capf
