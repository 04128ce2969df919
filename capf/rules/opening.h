#pragma once

#include <optional>
#include <string>
#include <utility>

#include "capf/rules/decision.h"
#include "capf/rules/endings.h"
#include "capf/rules/identify.h"

// Decisions about a caller who has proven the device share these first steps and this last one.

namespace capf::rules {

/// A change as it is being decided.
struct Opening {
  const Facts& facts;
  Identity who;
  Draft draft;  ///< its open operation is the one that the decision is about
  Basis basis;

  TimePoint now() const { return facts.dossier.now; }
  /// The decision holds only so long.
  void hold_until(TimePoint end) { basis.holds_until = std::min(basis.holds_until, end); }
};

/// The change begins with the effects of authenticating alone: the LSC that proves the phone is confirmed, and its
/// operation has succeeded by that; the first MIC is remembered; a caller who knows the string is not locked out for
/// the wrong ones before.
Opening open_change(const Facts& facts, const Identity& identity);

/// The phone may do the operation that is pending for it, in time. A dialogue was checked for that when it began.
/// Errors: NO_PENDING_OPERATION, OPERATION_KIND, DEADLINE_PASSED.
Status check_pending(Opening& opening, OperationKind kind);
/// A dialogue's operation must be open. Errors: OPERATION_ENDED.
Status check_goes_on(const Opening& opening);
/// The phone begins: the operation's record says how it authenticated, and a session before this one is over.
void start(Opening& opening);
/// Calls check_goes_on() and check_pending(), and outside a dialogue start() too.
Status begin_or_go_on(Opening& opening, OperationKind kind);

/// The settings in effect of the phone.
EffectiveSettings settings_of(const Opening& opening);
/// Whether the phone may begin an operation by itself: where `renewal` says so, and from that share of its LSC's life.
bool renewable(const Opening& opening);
/// The operation that it may begin, not yet on record.
Operation renewal(const Opening& opening);
void begin_renewal(Opening& opening);

/// "proven by mic, which has expired, as its anchor allows, not fresh"
std::string proof_words(const Identity& who);

/// The change, where there is something to be written.
inline std::optional<Change> change_of(Opening opening) {
  if (opening.draft.writes.empty()) return std::nullopt;
  return Change{std::move(opening.basis), std::move(opening.draft.writes)};
}
/// The error alone is written down, and nothing else of what was decided.
template <class Answer>
Decision<Answer> refused(const Facts& facts, const Identity& identity, OperationKind kind, const Error& error) {
  return {fail(error), record_refusal(facts, begun_of(identity), kind, error)};
}

}  // namespace capf::rules
