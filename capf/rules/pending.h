#pragma once

#include <optional>

#include "capf/rules/decision.h"
#include "capf/rules/identify.h"

namespace capf::rules {

/// The answer to a phone that asks for its pending operation.
struct PendingAnswer {
  bool authenticated = false;            ///< false: the phone presented no credential, and learns nothing
  std::optional<Operation> operation{};  ///< the open one; id 0 for a renewal that the phone may begin by itself
};

/// @param identity for Need::kDevice
Decision<PendingAnswer> pending(const Facts& facts, const Identity& identity);
/// The answer to a caller who did not prove the device: who brought nothing hears the same for every name.
Result<PendingAnswer> pending(const Facts& facts, const Refusal& refusal);

}  // namespace capf::rules
