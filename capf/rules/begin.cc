#include "capf/rules/begin.h"

#include "capf/rules/opening.h"

namespace capf::rules {

Decision<BeginAnswer> begin(const Facts& facts, const Identity& identity) {
  Opening opening = open_change(facts, identity);
  std::optional<Operation>& operation = opening.draft.open;
  if (!operation && renewable(opening)) begin_renewal(opening);
  Status pending = operation ? check_pending(opening, operation->kind) : fail(Reason::kNoPendingOperation);
  if (!pending) return refused<BeginAnswer>(facts, identity, OperationKind::kInstall, pending.error());
  start(opening);
  AddEvent began = done(opening.draft.actor, "operation.begin", *operation, proof_words(opening.who));
  began.repeated = true;
  opening.draft.add(std::move(began));
  BeginAnswer answer{begun_of(identity), *operation, operation->completes_by - opening.now()};
  answer.begun.operation_id = operation->id;
  answer.begun.kind = operation->kind;
  answer.begun.session = operation->session;
  return {std::move(answer), change_of(std::move(opening))};
}

Decision<void> goes_on(const Facts& facts, const Identity& identity) {
  const bool late = identity.operation && identity.operation->overdue(facts.dossier.now);
  if (!late) return {Status()};
  return refused<void>(facts, identity, identity.operation->kind, Error::of(Reason::kDeadlinePassed));
}

}  // namespace capf::rules
