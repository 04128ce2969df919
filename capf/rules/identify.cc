#include "capf/rules/identify.h"

#include <algorithm>
#include <string>
#include <utility>

#include "capf/domain/authentication.h"
#include "capf/rules/endings.h"

// The caller is judged in this order, and the first refusal wins:
//   1. a limit on strings           5. nothing is pending
//   2. the device                   6. the string, or its absence
//   3. a proof that is none         7. the table of operation, mode and credential
//   4. the certificate              8. an expired MIC
// The certificate, in this order:
//   4.1 it can be read              4.4 it is blocked, or its key is weak
//   4.2 the second one              4.5 the MIC is the one that the device showed first
//   4.3 its path, or its record     4.6 the proof is as fresh as it must be
//       (another's, not yet valid, superseded, revoked, expired: fault_of)

namespace capf::rules {
namespace {

using Said = std::optional<SaidString>;

/// The question that is judged; `string` is the caller's, or in its place what it proved before.
struct Question {
  const Facts& facts;
  Need need;
  Said string;

  const Dossier& dossier() const { return facts.dossier; }
  const Caller& caller() const { return facts.caller; }
  bool on_wire() const { return caller().transport == Transport::kWire; }
};

Identity unproven(const Facts& facts) {
  return {.phone = *facts.dossier.phone, .operation = facts.dossier.open, .basis = basis_of(facts)};
}

tl::unexpected<Refusal> refuse(Error error, const Identity& who) {
  return tl::unexpected<Refusal>(Refusal{.error = std::move(error), .phone = who.phone, .operation = who.operation});
}

tl::unexpected<Refusal> refuse(Reason reason, const Identity& who) { return refuse(Error::of(reason), who); }

/// A caller who brings nothing lacks a credential; to others nothing is pending.
tl::unexpected<Refusal> refuse_idle(const Question& question, const Identity& who) {
  const bool may_know = question.string || question.on_wire();
  return refuse(may_know ? Reason::kNoPendingOperation : Reason::kCredentialMissing, who);
}

/// Without an operation too.
bool by_certificate(const std::optional<Operation>& open) {
  return !open || open->auth == AuthMode::kLsc || open->auth == AuthMode::kMic;
}

template <class Judged>
std::vector<Sha256> certificates_of(const Judged& judged) {
  std::vector<Sha256> digests{judged.sha256};
  for (const ca::PathCertificate& issuer : judged.issuers) digests.push_back(issuer.sha256);
  return digests;
}

template <class Judged>
std::vector<Sha256> keys_of(const Judged& judged) {
  std::vector<Sha256> digests = judged.key.all();
  for (const ca::PathCertificate& issuer : judged.issuers) {
    for (const Sha256& digest : issuer.key.all()) digests.push_back(digest);
  }
  return digests;
}

bool any_refused(const Dossier& dossier, const std::vector<Sha256>& digests) {
  return std::any_of(digests.begin(), digests.end(), [&](const Sha256& digest) {
    return std::find(dossier.refused.begin(), dossier.refused.end(), digest) != dossier.refused.end();
  });
}

/// 4.4. Errors: CERTIFICATE_BLOCKED, KEY_LISTED.
template <class Judged>
Status check_path(const Dossier& dossier, const Path<Judged>& path) {
  const bool blocked = path.withdrawn || any_refused(dossier, certificates_of(*path.judged)) ||
                       any_refused(dossier, keys_of(*path.judged));
  if (blocked) return fail(Reason::kCertificateBlocked);
  if (path.listed) return fail(*path.listed);
  return {};
}

/// The proof rests on the path: the anchors vouch for it, and nothing of it may be blocked.
template <class Judged>
void rest_on(Basis& basis, const Dossier& dossier, const Judged& judged) {
  basis.trust_revision = dossier.trust_revision;
  basis.holds_until = std::min(basis.holds_until, judged.holds_until);
  const std::vector<Sha256> certificates = certificates_of(judged);
  const std::vector<Sha256> keys = keys_of(judged);
  basis.certificates.insert(basis.certificates.end(), certificates.begin(), certificates.end());
  basis.keys.insert(basis.keys.end(), keys.begin(), keys.end());
}

template <class Judged>
tl::unexpected<Refusal> refuse_path(const Path<Judged>& path, const Identity& who) {
  Refusal refusal = refuse(path.judged.error(), who).value();
  refusal.unknown_issuer = path.unknown_issuer;
  return tl::unexpected<Refusal>(std::move(refusal));
}

/// 4.2. The second certificate is the device's MIC.
Judgement judge_second(const Question& question, Identity who) {
  const std::optional<Path<ca::JudgedMic>>& second = question.caller().shown->second;
  if (!second) return who;
  if (!second->judged) return refuse_path(*second, who);
  if (Status good = check_path(question.dossier(), *second); !good) return refuse(std::move(good).error(), who);
  rest_on(who.basis, question.dossier(), *second->judged);
  who.fresh_mic = *second->judged;
  return who;
}

const Certificate* find_own(const Question& question) {
  const auto& shown = question.dossier().shown;
  const auto own = std::find_if(shown.begin(), shown.end(), [&](const Certificate& each) {
    return each.kind == CertificateKind::kLsc && each.sha256 == question.caller().shown->leaf;
  });
  return own == shown.end() ? nullptr : &*own;
}

std::optional<Reason> fault_of(const Certificate& lsc, const Phone& phone, TimePoint now) {
  if (lsc.phone_id != phone.id) return Reason::kCertificateNameMismatch;
  if (now < lsc.not_before) return Reason::kCertificateNotYetValid;
  switch (lsc.state(now)) {
    case CertificateState::kSuperseded: return Reason::kSupersededLscUsed;
    case CertificateState::kRevoked: return Reason::kCertificateRevoked;
    case CertificateState::kExpired: return Reason::kCertificateExpired;
    case CertificateState::kConfirmed:
    case CertificateState::kIssued: return std::nullopt;
  }
  CAPF_INVARIANT(false);
}

/// 4.3 of an LSC of ours, of any generation: the device comes from the record, never from the name in it.
Judgement judge_own(const Question& question, const Certificate& lsc, Identity who) {
  if (const auto fault = fault_of(lsc, who.phone, question.dossier().now)) return refuse(*fault, who);
  // It may have got its certificate before the site had the list.
  if (question.caller().shown->listed) return refuse(*question.caller().shown->listed, who);
  who.by = CredentialKind::kOwnLsc;
  who.lsc = lsc;
  who.basis.holds_until = std::min(who.basis.holds_until, lsc.not_after);
  return who;
}

/// 4.3 of a MIC.
Judgement judge_mic(const Question& question, Identity who) {
  const Path<ca::JudgedMic>& path = question.caller().shown->mic;
  if (path.judged->expired && !who.operation) return refuse(Reason::kCertificateExpired, who);
  if (Status good = check_path(question.dossier(), path); !good) return refuse(std::move(good).error(), who);
  rest_on(who.basis, question.dossier(), *path.judged);
  who.by = CredentialKind::kMic;
  who.mic = *path.judged;
  if (who.fresh) who.fresh_mic = who.mic;
  return who;
}

/// 4.3 of another site's LSC. It serves one install, so without an operation it proves nothing.
Judgement judge_foreign(const Question& question, Identity who) {
  const std::optional<Path<ca::JudgedLsc>>& path = question.caller().shown->foreign;
  if (!path) return refuse_path(question.caller().shown->mic, who);
  if (!path->judged) return refuse_path(*path, who);
  if (!who.operation) return refuse(Reason::kCredentialMode, who);
  if (Status good = check_path(question.dossier(), *path); !good) return refuse(std::move(good).error(), who);
  rest_on(who.basis, question.dossier(), *path->judged);
  who.by = CredentialKind::kForeignLsc;
  return who;
}

Judgement judge_leaf(const Question& question, Identity who) {
  if (const Certificate* const own = find_own(question)) return judge_own(question, *own, std::move(who));
  const Path<ca::JudgedMic>& mic = question.caller().shown->mic;
  if (mic.judged) return judge_mic(question, std::move(who));
  if (mic.judged.error().reason == Reason::kCertificateUnknownIssuer) return judge_foreign(question, std::move(who));
  return refuse(mic.judged.error(), who);
}

/// 4.5. Every MIC that was shown is the one that the device showed first.
bool mic_changed(const Identity& who) {
  const std::optional<Sha256>& first = who.phone.mic_sha256;
  const auto differs = [](const auto& mic, const Sha256& other) { return mic && mic->sha256 != other; };
  if (first && (differs(who.mic, *first) || differs(who.fresh_mic, *first))) return true;
  return who.mic && differs(who.fresh_mic, who.mic->sha256);
}

/// 4.5 and 4.6.
Judgement judge_freshness(const Question& question, Identity who) {
  const Shown& shown = *question.caller().shown;
  if (shown.called_mic && *shown.called_mic != (who.by == CredentialKind::kMic)) {
    return refuse(Error{Reason::kProofInvalid, "the certificate is not of the type that the phone calls it"}, who);
  }
  if (mic_changed(who)) return refuse(Reason::kMicChanged, who);
  if (who.phone.mic_fresh_at && !shown.fresh && !who.fresh_mic) return refuse(Reason::kProofDowngraded, who);
  // Anybody who once received it can repeat it: it serves what an administrator scheduled, where the site lets it.
  const bool scheduled = who.operation && !who.operation->self_service;
  if (!shown.fresh && (question.facts.policy.require_fresh_proof || !scheduled)) {
    return refuse(Reason::kProofNotFresh, who);
  }
  return who;
}

/// 4.
Judgement judge_certificate(const Question& question, Identity who) {
  const Shown& shown = *question.caller().shown;
  if (shown.unreadable) return refuse(*shown.unreadable, who);
  who.certificate = shown.leaf;
  who.fresh = shown.fresh;
  Judgement judged = judge_second(question, std::move(who));
  if (judged) judged = judge_leaf(question, *std::move(judged));
  if (judged) judged = judge_freshness(question, *std::move(judged));
  return judged;
}

bool in_null_string_network(const Facts& facts) {
  const auto& networks = facts.policy.null_string_networks;
  return std::any_of(networks.begin(), networks.end(),
                     [&](const Network& network) { return network.contains(facts.caller.address); });
}

/// 6. The operation asks for something besides a certificate.
Judgement judge_string(const Question& question, Identity who) {
  const Operation& operation = *who.operation;
  if (operation.auth == AuthMode::kString && question.string) {
    if (!question.string->matches) return refuse(Reason::kAuthStringMismatch, who);
    who.by = CredentialKind::kString;
  } else if (operation.auth == AuthMode::kNull) {
    if (!in_null_string_network(question.facts)) return refuse(Reason::kNullStringNetwork, who);
  } else if (by_certificate(operation) && who.by == CredentialKind::kNone && question.string) {
    who.by = CredentialKind::kString;  // for the table, which has the answer
  }
  return who;
}

/// 7 and 8. The phone's history decides only where a certificate has proven the phone.
Judgement judge_mode(const Question& question, Identity who) {
  const Operation& operation = *who.operation;
  PhoneFacts facts;
  if (by_certificate(operation) && who.certificate) {
    const LscHistory& history = question.dossier().history;
    facts = {history.valid, history.ever_confirmed, who.phone.mic_sha256.has_value()};
  }
  if (Status admitted = admits(operation.kind, operation.auth, who.by, facts); !admitted) {
    return refuse(std::move(admitted).error(), who);
  }
  const bool first = operation.kind == OperationKind::kInstall && !operation.self_service && !facts.had_own_lsc;
  if (who.mic && who.mic->expired && !first) return refuse(Reason::kCertificateExpired, who);
  return who;
}

/// 4, where it decides by itself: nothing where the operation, or its absence, does.
std::optional<Judgement> decide_by_certificate(const Question& question, Identity& who) {
  const bool certificate_asked = by_certificate(who.operation);
  if (!question.caller().shown || (!certificate_asked && question.need != Need::kDevice)) return std::nullopt;
  Judgement judged = judge_certificate(question, who);
  const bool stolen = !judged && judged.error().error.reason == Reason::kSupersededLscUsed;
  // On the wire a phone without anything pending hears so, whatever it brought; a stolen key is another matter.
  if (!judged && !who.operation && question.on_wire() && !stolen) return Judgement(refuse_idle(question, who));
  if (certificate_asked && !judged) return judged;
  const bool own = judged && judged->by == CredentialKind::kOwnLsc;
  if (!who.operation || (own && question.need == Need::kDevice)) return judged;
  if (certificate_asked) who = *std::move(judged);
  return std::nullopt;
}

/// 2 to 8.
Judgement judge(const Question& question) {
  const Facts& facts = question.facts;
  if (!facts.dossier.phone || facts.withdrawn) {
    return tl::unexpected<Refusal>(Refusal{.error = Error::of(Reason::kUnknownDevice)});
  }
  Identity who = unproven(facts);
  if (who.phone.blocked_at) return refuse(Reason::kDeviceBlocked, who);
  if (question.caller().bad_proof) {
    if (!who.operation) return refuse_idle(question, who);
    return refuse(*question.caller().bad_proof, who);
  }
  if (auto decided = decide_by_certificate(question, who)) return *std::move(decided);
  if (!who.operation) return refuse_idle(question, who);
  Judgement judged = judge_string(question, std::move(who));
  if (judged) judged = judge_mode(question, *std::move(judged));
  return judged;
}

tl::unexpected<Refusal> refuse_standby() {
  return tl::unexpected<Refusal>(Refusal{.error = Error::of(Reason::kDatabaseReadOnly), .notice = Notice::kNone});
}

/// The strings of the operation are used up: it fails.
Change end_exhausted(const Facts& facts) {
  const Dossier& dossier = facts.dossier;
  Draft draft{actor_of(facts.caller), *dossier.phone, dossier.now, dossier.open, dossier.live, {}};
  constexpr Reason kReason = Reason::kAuthStringExhausted;
  end_operation(draft, OperationState::kFailed, kReason, std::string(words(kReason)));
  return {basis_of(facts), std::move(draft.writes)};
}

/// 1.
Refusal refuse_limit(const Facts& facts, Reason limit) {
  Refusal refusal{.error = Error::of(limit), .phone = facts.dossier.phone, .operation = facts.dossier.open};
  if (limit == Reason::kAuthStringExhausted && facts.dossier.open) refusal.change = end_exhausted(facts);
  return refusal;
}

/// Two hold one key, or somebody has an old one: only an administrator can tell. The key was proven in this session, so
/// this is no stranger who asks for names.
Change stop_renewal(const Facts& facts, const Phone& phone, const Error& error) {
  AuditEvent event = done(actor_of(facts.caller), "phone.superseded_lsc_used", phone.device.text(), error.message);
  event.outcome = "refused";
  event.reason = error.reason;
  return {basis_of(facts), {StopSelfService{}, AddEvent{.event = std::move(event)}}};
}

/// The changes that a stranger's refusal makes besides.
Refusal with_change(const Facts& facts, Refusal refusal) {
  const Caller& caller = facts.caller;
  const Reason reason = refusal.error.reason;
  // An idle phone is not refused there, and nothing changes.
  if (reason == Reason::kNoPendingOperation && caller.transport == Transport::kWire) refusal.notice = Notice::kNone;
  const bool proven_now = caller.shown && caller.shown->fresh;
  if (reason == Reason::kSupersededLscUsed && proven_now && !refusal.phone->self_service_stopped_at) {
    refusal.change = stop_renewal(facts, *refusal.phone, refusal.error);
  }
  return refusal;
}

/// The string's part of what was proven before: the operation that it proved, not the digits.
Said proven_before(const Facts& facts, const Begun& begun) {
  Said string = facts.caller.string;
  const auto& open = facts.dossier.open;
  const bool proven = begun.by == CredentialKind::kString && open && open->id == begun.operation_id;
  if (proven) return SaidString{.matches = true};
  if (string) *string = {};
  return string;
}

tl::unexpected<Refusal> refuse_later(const Facts& facts, const Begun& begun, Refusal refusal) {
  const bool same_phone = facts.dossier.phone && facts.dossier.phone->id == begun.phone_id;
  if (!same_phone) refusal.phone.reset();
  refusal.notice = same_phone ? Notice::kPhone : Notice::kStranger;
  refusal.change = record_refusal(facts, begun, begun.kind, refusal.error);
  return tl::unexpected<Refusal>(std::move(refusal));
}

/// The fact that has ended a caller's authority since it was proven, besides what refuses it by itself.
std::optional<Reason> end_of(const Judgement& judged, const Begun& begun) {
  const std::optional<Operation>& now = judged ? judged->operation : judged.error().operation;
  if (begun.operation_id && (!now || now->id != *begun.operation_id)) return Reason::kOperationEnded;
  // A string that was not heard then proves nothing now.
  const bool unheard = !judged && judged.error().error.reason == Reason::kAuthStringMismatch;
  if (unheard && begun.by != CredentialKind::kString) return Reason::kOperationEnded;
  if (judged && now && begun.session && now->session != *begun.session) return Reason::kSessionReplaced;
  return std::nullopt;
}

}  // namespace

Begun begun_of(const Identity& identity) {
  Begun begun{.phone_id = identity.phone.id, .device = identity.phone.device, .by = identity.by};
  begun.session = identity.session;
  if (!identity.operation) return begun;
  begun.operation_id = identity.operation->id;
  begun.kind = identity.operation->kind;
  return begun;
}

Begun begun_of(Begun begun, const Written& written) {
  if (begun.operation_id == kAddedOperation) begun.operation_id = written.added_operation;
  return begun;
}

StringUse use_of_string(const Facts& facts, Need need) {
  const Caller& caller = facts.caller;
  if (!caller.string || facts.dossier.standby) return StringUse::kNone;
  if (caller.shown && need == Need::kDevice) {
    // Its own LSC will do.
    const Judgement bare = judge({facts, need, std::nullopt});
    if (bare && bare->by == CredentialKind::kOwnLsc) return StringUse::kNone;
  }
  const auto& open = facts.dossier.open;
  if (open && open->auth == AuthMode::kNull && in_null_string_network(facts)) return StringUse::kNone;
  if (open && open->auth == AuthMode::kString) return StringUse::kCompared;
  // Where neither a certificate nor the address decides, the string is a stranger's try like any other.
  if (caller.shown && judge({facts, need, caller.string})) return StringUse::kNone;
  return StringUse::kStranger;
}

Judgement identify(const Facts& facts, Need need) {
  // A standby may not know yet who was blocked and what was revoked.
  if (facts.dossier.standby) return refuse_standby();
  const Said& string = facts.caller.string;
  if (string && string->limit) return tl::unexpected<Refusal>(refuse_limit(facts, *string->limit));
  Judgement judged = judge({facts, need, string});
  if (!judged) return tl::unexpected<Refusal>(with_change(facts, std::move(judged).error()));
  return judged;
}

Judgement go_on(const Facts& facts, Need need, const Begun& begun) {
  if (facts.dossier.standby) return refuse_standby();
  Judgement judged = judge({facts, need, proven_before(facts, begun)});
  if (const auto ended = end_of(judged, begun)) {
    Refusal refusal{.error = Error::of(*ended), .phone = facts.dossier.phone, .operation = facts.dossier.open};
    return refuse_later(facts, begun, std::move(refusal));
  }
  if (!judged) return refuse_later(facts, begun, std::move(judged).error());
  if (judged->phone.id != begun.phone_id) {
    Error error{Reason::kUnknownDevice, "another phone has the name now"};
    return refuse_later(facts, begun, Refusal{.error = std::move(error)});
  }
  judged->session = begun.session;
  judged->basis.session = begun.session;
  return judged;
}

}  // namespace capf::rules
