#include "capf/rules/opening.h"

#include <algorithm>

#include "capf/domain/terms.h"

namespace capf::rules {
namespace {

constexpr std::size_t kLongestModel = 64;

bool expired_mic(const Identity& who) { return who.mic && who.mic->expired; }

void settle_credential(Opening& opening) {
  if (!opening.who.lsc || opening.who.lsc->confirmed_at) return;
  settle(opening.draft, *opening.who.lsc, opening.facts.policy.superseded_grace);
  opening.who.lsc->confirmed_at = opening.now();
}

/// The MIC's key is nobody's LSC. One that is on record already stays its owner's.
void claim_mic(Opening& opening, const ca::JudgedMic& mic) {
  const Shown& shown = *opening.facts.caller.shown;
  const std::optional<KeyRecord>& record = opening.who.mic ? shown.mic.record : shown.second->record;
  const bool learns_modulus = record && record->owner == KeyOwner::kMic && record->phone_id == opening.who.phone.id &&
                              mic.key.modulus && !record->modulus;
  if (record && !learns_modulus) return;
  opening.draft.add(ClaimKey{mic.key, KeyOwner::kMic});
}

void remember_mic(Opening& opening) {
  const Identity& who = opening.who;
  const std::optional<ca::JudgedMic>& mic = who.mic ? who.mic : who.fresh_mic;
  if (!mic) return;
  const bool fresh = who.fresh_mic.has_value();
  const bool was_fresh = who.phone.mic_fresh_at.has_value();
  const bool keeps = !who.phone.mic_is_kept && !mic->der.empty();
  if (!who.phone.mic_sha256 || (fresh && !was_fresh) || keeps) {
    opening.draft.add(
        SetMic{mic->sha256, fresh || was_fresh, keeps ? mic->der : Bytes{}, mic->not_before, mic->not_after});
  }
  if (who.phone.model.empty() && !mic->model.empty() && mic->model.size() <= kLongestModel) {
    opening.draft.add(SetModel{mic->model});
  }
  claim_mic(opening, *mic);
}

}  // namespace

Opening open_change(const Facts& facts, const Identity& identity) {
  const Dossier& dossier = facts.dossier;
  Opening opening{facts, identity,
                  Draft{actor_of(facts.caller), identity.phone, dossier.now, identity.operation, dossier.live, {}},
                  identity.basis};
  settle_credential(opening);
  remember_mic(opening);
  if (identity.by == CredentialKind::kString) opening.draft.add(ForgiveStrings{});
  return opening;
}

Status check_pending(Opening& opening, OperationKind kind) {
  const std::optional<Operation>& operation = opening.draft.open;
  if (!operation) return fail(Reason::kNoPendingOperation);
  if (operation->kind != kind) {
    return fail(Reason::kOperationKind, "the pending operation is " + std::string(to_string(operation->kind)));
  }
  if (operation->overdue(opening.now())) return fail(Reason::kDeadlinePassed);
  opening.hold_until(operation->completes_by);
  return {};
}

Status check_goes_on(const Opening& opening) {
  if (opening.who.session && !opening.draft.open) return fail(Reason::kOperationEnded);
  return {};
}

void start(Opening& opening) {
  Operation& operation = *opening.draft.open;
  opening.draft.add(AdvanceOperation{operation.id, OperationState::kInProgress, opening.who.by, opening.who.certificate,
                                     expired_mic(opening.who)});
  operation.state = OperationState::kInProgress;
  ++operation.session;
}

Status begin_or_go_on(Opening& opening, OperationKind kind) {
  CAPF_TRY(check_goes_on(opening));
  CAPF_TRY(check_pending(opening, kind));
  if (!opening.who.session) start(opening);
  return {};
}

EffectiveSettings settings_of(const Opening& opening) {
  const Dossier& dossier = opening.facts.dossier;
  return effective_settings(opening.facts.policy, dossier.profile, dossier.own);
}

bool renewable(const Opening& opening) {
  const Identity& who = opening.who;
  if (who.by != CredentialKind::kOwnLsc || !who.lsc->valid(opening.now()) || who.phone.self_service_stopped_at) {
    return false;
  }
  const EffectiveSettings settings = settings_of(opening);
  return settings.renewal() == Renewal::kPhone &&
         who.lsc->due_for_renewal(opening.now(), settings.renewal_from_percent());
}

Operation renewal(const Opening& opening) {
  const Phone& phone = opening.who.phone;
  // A successor of the same kind of key.
  const auto& origins = opening.facts.dossier.origins;
  const auto origin = std::find_if(origins.begin(), origins.end(),
                                   [&](const Operation& each) { return each.id == opening.who.lsc->operation_id; });
  const Terms terms = renewal_terms(origin != origins.end() ? std::optional(origin->key) : std::nullopt,
                                    settings_of(opening), opening.now());
  Operation operation{.phone_id = phone.id, .device = phone.device};
  operation.auth = terms.auth;
  operation.key = terms.key;
  operation.lsc = terms.lsc;
  operation.owners = terms.owners;
  operation.self_service = true;
  operation.created_by = phone.device.text();
  operation.created_at = opening.now();
  operation.completes_by = std::min<TimePoint>(opening.who.lsc->not_after, terms.completes_by);
  return operation;
}

void begin_renewal(Opening& opening) {
  opening.draft.open = renewal(opening);
  opening.draft.add(AddOperation{*opening.draft.open});
  opening.draft.add(
      done(opening.draft.actor, "operation.schedule", *opening.draft.open, "renewal by the phone itself"));
}

std::string proof_words(const Identity& who) {
  std::string words = "proven by " + std::string(to_string(who.by));
  if (expired_mic(who)) words += ", which has expired, as its anchor allows";
  if (who.certificate && !who.fresh) words += ", not fresh";
  return words;
}

}  // namespace capf::rules
