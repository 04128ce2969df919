#pragma once

#include "capf/rules/decision.h"
#include "capf/rules/identify.h"

namespace capf::rules {

/// Whether the answer to a delete was lost: what proves the phone is what proved the delete, or the LSC that it
/// revoked. Asked before identify(), by which that LSC is refused.
bool was_given_up(const Facts& facts);

/// The phone gives up its LSCs. The answer is how many are revoked.
/// Errors after authentication: NO_PENDING_OPERATION, OPERATION_KIND, DEADLINE_PASSED.
/// @param identity for Need::kOperation
Decision<int> give_up(const Facts& facts, const Identity& identity);

}  // namespace capf::rules
