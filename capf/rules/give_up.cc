#include "capf/rules/give_up.h"

#include <algorithm>

#include "capf/rules/opening.h"

namespace capf::rules {

bool was_given_up(const Facts& facts) {
  const Dossier& dossier = facts.dossier;
  const std::optional<Shown>& shown = facts.caller.shown;
  if (!shown || !shown->fresh || !dossier.phone || dossier.phone->blocked_at || facts.withdrawn) return false;
  const std::optional<Operation>& last = dossier.last;
  if (!last || last->kind != OperationKind::kDelete || last->state != OperationState::kSucceeded) return false;
  if (last->authenticated_certificate == shown->leaf) return true;
  return std::any_of(dossier.shown.begin(), dossier.shown.end(), [&](const Certificate& lsc) {
    return lsc.sha256 == shown->leaf && lsc.phone_id == dossier.phone->id && lsc.revoked_at &&
           lsc.revoked_at == last->finished_at;
  });
}

Decision<int> give_up(const Facts& facts, const Identity& identity) {
  constexpr OperationKind kKind = OperationKind::kDelete;
  Opening opening = open_change(facts, identity);
  if (Status ready = begin_or_go_on(opening, kKind); !ready) {
    return refused<int>(facts, identity, kKind, ready.error());
  }
  const int revoked = revoke_all(opening.draft, RevocationReason::kCessationOfOperation);
  end_operation(opening.draft, OperationState::kSucceeded, std::nullopt, "the phone has given up its certificate");
  return {revoked, change_of(std::move(opening))};
}

}  // namespace capf::rules
