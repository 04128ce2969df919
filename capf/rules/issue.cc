#include "capf/rules/issue.h"

#include <algorithm>
#include <utility>

#include "capf/ca/certificate.h"
#include "capf/domain/serial.h"
#include "capf/rules/opening.h"

// May this phone have an LSC for this key? In this order, and the first answer wins:
//   1. the dialogue goes on; the key can be read and is good
//   2. a lost answer: the certificate by which the phone proved itself
//   3. the operation: the pending one, or a renewal
//   4. the same request again: the certificate that was issued
//   5. the key is the one that is asked for, and the phone's own
//   6. the operation may issue another one
//   7. what is to be signed

namespace capf::rules {
namespace {

using Planned = std::variant<Decision<IssueAnswer>, ToSign>;

Result<std::vector<Bytes>> chain_of(const IssuerRecord& issuer) {
  std::vector<Bytes> chain{issuer.der};
  if (issuer.chain_der.empty()) return chain;
  CAPF_LET(const auto above, ca::split_certificates(issuer.chain_der));
  chain.insert(chain.end(), above.begin(), above.end());
  return chain;
}

Decision<IssueAnswer> answer_with(Opening opening, const Certificate& lsc) {
  const auto& issuers = opening.facts.dossier.issuers;
  const auto issuer =
      std::find_if(issuers.begin(), issuers.end(), [&](const IssuerRecord& each) { return each.id == lsc.issuer_id; });
  IssueAnswer answer{lsc.der, {}, lsc.operation_id};
  if (issuer != issuers.end()) {
    auto chain = chain_of(*issuer);
    if (!chain) return {fail(chain.error())};
    answer.chain = *std::move(chain);
  }
  return {std::move(answer), change_of(std::move(opening))};
}

/// 1.
Status check_offer(const Opening& opening, const Offer& offer) {
  CAPF_TRY(check_goes_on(opening));
  CAPF_TRY(offer.key);
  if (offer.listed) return fail(*offer.listed);
  return {};
}

/// 2. Its last answer was lost where nothing else is to be done.
const Certificate* find_lost(const Opening& opening, const ca::OfferedKey& key) {
  const std::optional<Certificate>& lsc = opening.who.lsc;
  const bool idle = !opening.draft.open && !renewable(opening);
  return idle && lsc && lsc->key_sha256 == key.digests.sha256 ? &*lsc : nullptr;
}

/// 3.
Status choose_operation(Opening& opening) {
  if (!opening.draft.open && opening.who.by == CredentialKind::kOwnLsc) {
    if (!renewable(opening)) return fail(Reason::kSelfServiceRefused);
    begin_renewal(opening);
  }
  return check_pending(opening, OperationKind::kInstall);
}

/// 4. Errors: CERTIFICATE_REVOKED.
Result<std::optional<Certificate>> find_issued(const Opening& opening, const ca::OfferedKey& key) {
  for (const Certificate& each : opening.draft.live) {
    if (each.operation_id != opening.draft.open->id || each.key_sha256 != key.digests.sha256) continue;
    if (each.on_hold()) return fail(Reason::kCertificateRevoked, "the certificate of this key is on hold");
    return each;
  }
  return std::nullopt;
}

bool same_key(const KeyDigests& one, const KeyDigests& other) {
  return one.sha256 == other.sha256 || (one.modulus && one.modulus == other.modulus);
}

/// Whether the change gives the key to a MIC.
bool is_mic(const Draft& draft, const KeyDigests& key) {
  return std::any_of(draft.writes.begin(), draft.writes.end(), [&](const Write& write) {
    const auto* const claim = std::get_if<ClaimKey>(&write);
    return claim != nullptr && claim->owner == KeyOwner::kMic && same_key(claim->key, key);
  });
}

Status check_record(const KeyRecord& record, const Phone& phone) {
  if (record.compromised) return fail(Reason::kKeyCompromised);
  if (record.blocked) return fail(Reason::kCertificateBlocked);
  if (record.owner != KeyOwner::kPhone) return fail(Reason::kKeyReserved);
  if (record.phone_id != phone.id) return fail(Reason::kKeyOfAnotherDevice);
  return {};
}

bool is_refused(const Dossier& dossier, const KeyDigests& key) {
  return std::any_of(dossier.refused.begin(), dossier.refused.end(),
                     [&](const Sha256& digest) { return digest == key.sha256 || digest == key.modulus; });
}

/// 5.
Status claim_key(Opening& opening, const Offer& offer) {
  const KeyDigests& key = offer.key->digests;
  CAPF_TRY(ca::check_wanted(*offer.key, opening.draft.open->key));
  if (offer.withdrawn) return fail(Reason::kKeyCompromised);
  if (offer.record) CAPF_TRY(check_record(*offer.record, opening.who.phone));
  if (is_refused(opening.facts.dossier, key)) return fail(Reason::kCertificateBlocked);
  if (is_mic(opening.draft, key)) return fail(Reason::kKeyReserved);
  opening.draft.add(ClaimKey{key, KeyOwner::kPhone});
  for (const Sha256& digest : key.all()) opening.basis.keys.push_back(digest);
  return {};
}

/// 6. The operation fails, which is told once it is written. A phone that renews by itself would begin again for ever.
Decision<IssueAnswer> end_at_limit(Opening opening, OperationKind kind) {
  const Error error = Error::of(Reason::kCertificateLimit);
  const auto refusal = record_refusal(opening.facts, begun_of(opening.who), kind, error);
  if (opening.draft.open->self_service) opening.draft.add(StopSelfService{});
  end_operation(opening.draft, OperationState::kFailed, error.reason, error.message);
  if (refusal) {
    opening.draft.writes.insert(opening.draft.writes.end(), refusal->writes.begin(), refusal->writes.end());
  }
  return {fail(error), change_of(std::move(opening))};
}

/// 7.
ca::LscRequest request_of(const Opening& opening, const ca::OfferedKey& key) {
  const Identity& who = opening.who;
  const std::optional<ca::JudgedMic>& mic = who.mic ? who.mic : who.fresh_mic;
  const SitePolicy& policy = opening.facts.policy;
  const LscTerms terms = opening.draft.open->lsc.value_or(LscTerms{policy.lsc_validity, policy.lsc_subject});
  return {who.phone.device,
          mic ? mic->model : who.phone.model,
          mic ? mic->serial_number : "",
          key.public_key,
          opening.now(),
          terms.validity,
          terms.subject};
}

Certificate unsigned_record(const Opening& opening, const Offer& offer) {
  Certificate certificate;
  certificate.issuer_id = *opening.facts.dossier.active_issuer;
  certificate.phone_id = opening.who.phone.id;
  certificate.device = opening.who.phone.device.text();
  certificate.operation_id = opening.draft.open->id;
  certificate.key_sha256 = offer.key->digests.sha256;
  certificate.issued_at = opening.now();
  certificate.possession = offer.possession;
  return certificate;
}

ToSign to_sign(Opening opening, const Offer& offer) {
  const std::int64_t issuer = *opening.facts.dossier.active_issuer;
  const Identity& who = opening.who;
  opening.basis.active_issuer = issuer;
  ToSign planned{issuer, request_of(opening, *offer.key), {}, unsigned_record(opening, offer), {}, {}};
  planned.advance = {opening.draft.open->id, OperationState::kIssued, who.by, who.certificate,
                     who.mic && who.mic->expired};
  planned.event = done(opening.draft.actor, "certificate.issue", *opening.draft.open, proof_words(who));
  planned.change = {std::move(opening.basis), std::move(opening.draft.writes)};
  return planned;
}

}  // namespace

std::variant<Decision<IssueAnswer>, ToSign> plan(const Facts& facts, const Identity& identity, const Offer& offer) {
  const OperationKind kind = OperationKind::kInstall;
  const auto refuse = [&](const Error& error) -> Planned { return refused<IssueAnswer>(facts, identity, kind, error); };
  Opening opening = open_change(facts, identity);
  if (Status good = check_offer(opening, offer); !good) return refuse(good.error());
  if (const Certificate* const lost = find_lost(opening, *offer.key)) return answer_with(opening, *lost);
  if (Status chosen = choose_operation(opening); !chosen) return refuse(chosen.error());
  const auto issued = find_issued(opening, *offer.key);
  if (!issued) return refuse(issued.error());
  if (*issued) return answer_with(std::move(opening), **issued);
  if (Status claimed = claim_key(opening, offer); !claimed) return refuse(claimed.error());
  if (opening.draft.open->certificates >= kLargestCertificatesPerOperation) {
    return end_at_limit(std::move(opening), kind);
  }
  if (!facts.dossier.active_issuer) return refuse(Error::of(Reason::kIssuerKeyAbsent));
  return to_sign(std::move(opening), offer);
}

bool will_do(const SignedLsc& made, const ToSign& plan) {
  ca::LscRequest later = made.request;
  later.now = plan.request.now;
  const Duration between = later.now - made.request.now;
  return plan.issuer_id == made.issuer_id && plan.request == later && between >= Duration{0} &&
         between <= kLongestDecision;
}

Decision<IssueAnswer> issue(ToSign plan, const ca::IssuedLsc& lsc, const IssuerRecord& issuer) {
  CAPF_INVARIANT(issuer.id == plan.issuer_id);
  auto chain = chain_of(issuer);
  if (!chain) return {fail(chain.error())};
  Certificate& certificate = plan.certificate;
  certificate.sha256 = lsc.sha256;
  certificate.serial = lsc.serial;
  certificate.issuer = issuer.subject;
  certificate.der = lsc.der;
  certificate.not_before = lsc.not_before;
  certificate.not_after = lsc.not_after;
  certificate.shard = lsc.shard;
  plan.event.event.detail = "serial " + serial_text(lsc.serial) + ", " + plan.event.event.detail;
  IssueAnswer answer{certificate.der, *std::move(chain), certificate.operation_id};
  std::vector<Write>& writes = plan.change.writes;
  writes.emplace_back(AddCertificate{std::move(certificate)});
  writes.emplace_back(std::move(plan.advance));
  writes.emplace_back(std::move(plan.event));
  return {std::move(answer), std::move(plan.change)};
}

}  // namespace capf::rules
