#include "capf/rules/pending.h"

#include "capf/rules/opening.h"

namespace capf::rules {

Decision<PendingAnswer> pending(const Facts& facts, const Identity& identity) {
  // Without a certificate nothing is left to be written.
  if (!identity.certificate) return {PendingAnswer{true, identity.operation}};
  Opening opening = open_change(facts, identity);
  PendingAnswer answer{true, opening.draft.open};
  if (!answer.operation && renewable(opening)) answer.operation = renewal(opening);
  return {std::move(answer), change_of(std::move(opening))};
}

Result<PendingAnswer> pending(const Facts& facts, const Refusal& refusal) {
  const bool brought = facts.caller.string || facts.caller.shown;
  Error error = refusal.answer();
  if (!brought && error.reason == Reason::kAuthenticationFailed) return PendingAnswer{};
  return fail(std::move(error));
}

}  // namespace capf::rules
