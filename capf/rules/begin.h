#pragma once

#include "capf/rules/decision.h"
#include "capf/rules/identify.h"

namespace capf::rules {

/// The operation that a dialogue is about.
struct BeginAnswer {
  Begun begun;  ///< see begun_of(): the write gives the id of a renewal
  Operation operation;
  Duration left{};  ///< until its completes_by, by the database's clock
};

/// Begins the pending operation, or a renewal, for a transport where the server leads. Another dialogue of the phone
/// that began before is over by that.
/// Errors after authentication: NO_PENDING_OPERATION, DEADLINE_PASSED.
/// @param identity for Need::kOperation
Decision<BeginAnswer> begin(const Facts& facts, const Identity& identity);

/// Whether a dialogue that waits for its phone may go on. Errors: DEADLINE_PASSED.
/// @param identity one that goes on
Decision<void> goes_on(const Facts& facts, const Identity& identity);

}  // namespace capf::rules
