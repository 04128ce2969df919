#include "capf/rules/confirm.h"

#include <algorithm>

#include "capf/rules/opening.h"

namespace capf::rules {
namespace {

const Certificate* find_shown(const Facts& facts) {
  if (!facts.caller.shown || !facts.caller.shown->fresh) return nullptr;
  const auto& shown = facts.dossier.shown;
  const auto own = std::find_if(shown.begin(), shown.end(),
                                [&](const Certificate& each) { return each.sha256 == facts.caller.shown->leaf; });
  return own == shown.end() ? nullptr : &*own;
}

bool proved_operation(const Dossier& dossier, std::int64_t operation_id, const Sha256& certificate) {
  return std::any_of(dossier.origins.begin(), dossier.origins.end(), [&](const Operation& origin) {
    return origin.id == operation_id && origin.authenticated_certificate == certificate;
  });
}

/// The record of the certificate to be confirmed, after what authenticating alone has changed of it.
std::optional<Certificate> find_confirmed(const Opening& opening, const Sha256& sha256) {
  const std::optional<Certificate>& record = opening.facts.dossier.confirmed;
  if (!record || record->sha256 != sha256 || record->phone_id != opening.who.phone.id) return std::nullopt;
  const auto is_it = [&](const Certificate& each) { return each.id == record->id; };
  const auto& before = opening.facts.dossier.live;
  const auto& now = opening.draft.live;
  const auto live = std::find_if(now.begin(), now.end(), is_it);
  if (live != now.end()) return *live;
  if (std::any_of(before.begin(), before.end(), is_it)) return std::nullopt;
  return record;
}

}  // namespace

bool was_confirmed(const Facts& facts, const Sha256& certificate) {
  const Dossier& dossier = facts.dossier;
  const Certificate* const old = find_shown(facts);
  const std::optional<Certificate>& lsc = dossier.confirmed;
  if (old == nullptr || !lsc || lsc->sha256 != certificate || old->sha256 == certificate) return false;
  if (!dossier.phone || dossier.phone->blocked_at || facts.withdrawn) return false;
  if (!old->superseded_at || !lsc->valid(dossier.now)) return false;
  if (old->phone_id != dossier.phone->id || lsc->phone_id != dossier.phone->id) return false;
  return proved_operation(dossier, lsc->operation_id, old->sha256);
}

Decision<void> confirm(const Facts& facts, const Identity& identity, const Sha256& certificate) {
  const OperationKind kind = identity.session ? identity.operation->kind : OperationKind::kInstall;
  Opening opening = open_change(facts, identity);
  if (Status on = check_goes_on(opening); !on) return refused<void>(facts, identity, kind, on.error());
  // Authenticating with it has confirmed it.
  if (!identity.session && opening.who.lsc && opening.who.lsc->sha256 == certificate) {
    return {Status(), change_of(std::move(opening))};
  }
  const auto lsc = find_confirmed(opening, certificate);
  if (!lsc || lsc->revoked_at || lsc->superseded_at) {
    return refused<void>(facts, identity, kind, Error::of(Reason::kNothingToConfirm));
  }
  settle(opening.draft, *lsc, facts.policy.superseded_grace);
  return {Status(), change_of(std::move(opening))};
}

}  // namespace capf::rules
