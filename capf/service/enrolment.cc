#include "capf/service/enrolment.h"

#include <algorithm>
#include <utility>

#include "capf/base/log.h"
#include "capf/ca/certificate.h"
#include "capf/ca/request.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr std::size_t kLongestModel = 64;
constexpr std::size_t kLongestForeignSerial = 128;  ///< of a certificate that a phone hands over: not ours

bool renewable(const Proven& proven, const SitePolicy& policy, TimePoint now) {
  return policy.self_service_upgrade && proven.by == CredentialKind::kOwnLsc && proven.lsc->valid(now) &&
         proven.lsc->due_for_renewal(now) && !proven.phone.self_service_stopped_at;
}

/// What a phone does must be what is pending for it.
Status check_pending(const Proven& proven, OperationKind kind, TimePoint now) {
  if (!proven.operation) return fail(Reason::kNoPendingOperation);
  if (proven.operation->kind != kind) {
    return fail(Reason::kOperationKind, "the pending operation is " + std::string(to_string(proven.operation->kind)));
  }
  if (proven.operation->overdue(now)) return fail(Reason::kDeadlinePassed);
  return {};
}

/// Authenticating with a certificate confirms it: the phone has it. The operation may have succeeded by that.
Status settle_credential(Transaction& tx, const Caller& caller, Proven& proven, std::chrono::hours grace) {
  if (!proven.lsc || proven.lsc->confirmed_at) return {};
  CAPF_TRY(settle(tx, device_actor(caller), proven.phone, *proven.lsc, proven.operation, grace));
  proven.lsc->confirmed_at = tx.now();
  if (proven.operation && proven.operation->id == proven.lsc->operation_id) proven.operation.reset();
  return {};
}

/// The phone has begun: how it authenticated stands in the operation's record, and a session before it is over.
Status start(Transaction& tx, Proven& proven) {
  Operation& operation = *proven.operation;
  const bool expired_mic = proven.mic && proven.mic->expired;
  CAPF_LET(const auto session, tx.operations().advance(operation.id, OperationState::kInProgress, proven.by,
                                                       proven.certificate, expired_mic));
  if (!session) return fail(Reason::kOperationEnded);
  operation.session = *session;
  return {};
}

/// The first MIC that authenticates a device is remembered, and its key is nobody's LSC.
Status remember_mic(Transaction& tx, const Proven& proven) {
  const std::optional<ca::JudgedMic>& mic = proven.mic ? proven.mic : proven.fresh_mic;
  if (!mic) return {};
  const bool fresh = proven.fresh_mic.has_value();
  if (!proven.phone.mic_sha256 || (fresh && !proven.phone.mic_fresh_at)) {
    CAPF_TRY(tx.phones().set_mic(proven.phone.id, mic->sha256, fresh));
  }
  if (proven.phone.model.empty() && !mic->model.empty() && mic->model.size() <= kLongestModel)
    CAPF_TRY(tx.phones().set_model(proven.phone.id, mic->model));
  CAPF_TRY(tx.keys().claim(mic->key, KeyOwner::kMic, proven.phone.id));
  return {};
}

/// Whether this is how the phone proved itself, for the record.
std::string proof_words(const Caller& caller, const Proven& proven) {
  std::string words = "proven by " + std::string(to_string(proven.by));
  if (proven.mic && proven.mic->expired) words += ", which has expired, as its anchor allows";
  if (caller.certificate && proven.certificate && !caller.certificate->fresh) words += ", not fresh";
  return words;
}

Status claim_key(Transaction& tx, const Phone& phone, const ca::OfferedKey& key) {
  CAPF_LET(const KeyRecord record, tx.keys().claim(key.digests, KeyOwner::kPhone, phone.id));
  if (record.compromised) return fail(Reason::kKeyCompromised);
  if (record.blocked) return fail(Reason::kCertificateBlocked);
  if (record.owner != KeyOwner::kPhone) return fail(Reason::kKeyReserved);
  if (record.phone_id != phone.id) return fail(Reason::kKeyOfAnotherDevice);
  return {};
}

/// Refusals after authentication are recorded one by one, the first few of a minute.
void record_refusal(Database& database, const Caller& caller, const Proven& proven, OperationKind kind,
                    const Error& error) {
  const auto recorded = in_write(database, [&](Transaction& tx) -> Result<bool> {
    AuditEvent event = done(device_actor(caller), "phone.request", proven.phone.device.text(), error.message);
    event.operation_id = proven.operation ? proven.operation->id : 0;
    event.outcome = "refused";
    event.reason = error.true_reason();
    CAPF_TRY(tx.phones().record_attempt(proven.phone.id, {tx.now(), caller.address.to_string(), caller.transport, kind,
                                                          error.true_reason(), error.message}));
    return tx.audit().add_repeated(event);
  });
  if (recorded && *recorded) {
    log_info("phone.refused", {{"device", caller.device.text()},
                               {"address", caller.address.to_string()},
                               {"reason", error.true_reason()},
                               {"message", error.message},
                               {"cause", error.cause}});
  }
  if (!recorded)
    log_error("record.failed",
              {{"reason", std::string(to_string(recorded.error().reason))}, {"cause", recorded.error().cause}});
}

/// Which generation issues is the database's to say, so that the servers change over at one moment.
Result<std::shared_ptr<const ca::Issuer>> active_issuer(Transaction& tx, const ca::Issuers& issuers) {
  CAPF_LET(const auto id, tx.issuers().active_id());
  auto issuer = id ? issuers.find(*id) : nullptr;
  if (!issuer) return fail(Reason::kIssuerKeyAbsent);
  return issuer;
}

Status confirm_in(Transaction& tx, const Caller& caller, const Proven& proven, const Sha256& sha256,
                  std::chrono::hours grace) {
  CAPF_LET(const auto lsc, tx.certificates().find_lsc(sha256));
  if (!lsc || lsc->phone_id != proven.phone.id || lsc->revoked_at || lsc->superseded_at) {
    return fail(Reason::kNothingToConfirm);
  }
  return settle(tx, device_actor(caller), proven.phone, *lsc, proven.operation, grace);
}

Result<int> give_up_in(Transaction& tx, const Caller& caller, const Proven& proven) {
  const Actor actor = device_actor(caller);
  CAPF_LET(const int revoked, revoke_all(tx, actor, proven.phone, RevocationReason::kCessationOfOperation));
  CAPF_TRY(end_operation(tx, actor, *proven.operation, OperationState::kSucceeded, std::nullopt,
                         "the phone has given up its certificate"));
  return revoked;
}

Status hand_over_in(Transaction& tx, const Caller& caller, const Proven& proven,
                    const std::vector<Bytes>& certificates) {
  if (certificates.empty() || certificates.size() > ca::kLongestChain) {
    return fail(Reason::kInvalidRequest, "a phone hands over 1 to 4 certificates");
  }
  for (const Bytes& der : certificates) {
    CAPF_LET(const ca::CertificateFacts facts, ca::read_certificate(der));
    if (facts.serial.size() > kLongestForeignSerial)
      return fail(Reason::kCertificateMalformed, "its serial number is too long");
    Certificate record;
    record.kind = CertificateKind::kHandedOver;
    record.sha256 = facts.sha256;
    record.serial = facts.serial;
    record.issuer = facts.issuer;
    record.phone_id = proven.phone.id;
    record.device = proven.phone.device.text();
    record.operation_id = proven.operation->id;
    record.key_sha256 = facts.key.sha256;
    record.der = der;
    record.not_before = facts.not_before;
    record.not_after = facts.not_after;
    record.issued_at = tx.now();
    CAPF_TRY(tx.certificates().add(record));
  }
  CAPF_TRY(end_operation(tx, device_actor(caller), *proven.operation, OperationState::kSucceeded, std::nullopt,
                         "the phone has handed over its certificates"));
  return {};
}

/// The SHA-256 of the certificate that the connection proved in this session, for the two functions below.
std::optional<Sha256> proven_certificate(const Caller& caller) {
  const auto& presented = caller.certificate;
  if (!presented || !presented->fresh || presented->leaf.size() > ca::kLargestCertificate) return std::nullopt;
  return sha256(presented->leaf);
}

// Both ask the database the same for every name, since anybody may ask them: the time tells no name from another.

/// Whether the answer to a confirmation was lost: what proves the phone is the LSC that proved the operation whose
/// certificate it has confirmed, and which is superseded by that.
Result<bool> was_confirmed(Database& database, const Caller& caller, const Sha256& confirmed) {
  const auto shown = proven_certificate(caller);
  if (!shown || *shown == confirmed) return false;
  return in_read(database, [&](Transaction& tx) -> Result<bool> {
    CAPF_LET(const auto phone, tx.phones().find(caller.device));
    CAPF_LET(const auto old, tx.certificates().find_lsc(*shown));
    CAPF_LET(const auto lsc, tx.certificates().find_lsc(confirmed));
    if (!phone || phone->blocked_at) return false;
    if (!old || !lsc || !old->superseded_at || !lsc->valid(tx.now())) return false;
    if (old->phone_id != phone->id || lsc->phone_id != phone->id) return false;
    CAPF_LET(const auto operation, tx.operations().find(lsc->operation_id));
    return operation && operation->authenticated_certificate == *shown;
  });
}

/// Whether the answer to a delete was lost: what proves the phone is what proved the delete, or the LSC that it
/// revoked.
Result<bool> was_given_up(Database& database, const Caller& caller) {
  const auto shown = proven_certificate(caller);
  if (!shown) return false;
  return in_read(database, [&](Transaction& tx) -> Result<bool> {
    CAPF_LET(const auto phone, tx.phones().find(caller.device));
    CAPF_LET(const auto last, tx.operations().find_last(phone ? phone->id : 0));
    CAPF_LET(const auto lsc, tx.certificates().find_lsc(*shown));
    if (!phone || phone->blocked_at) return false;
    if (!last || last->kind != OperationKind::kDelete || last->state != OperationState::kSucceeded) return false;
    if (last->authenticated_certificate == *shown) return true;
    return lsc && lsc->phone_id == phone->id && lsc->revoked_at && lsc->revoked_at == last->finished_at;
  });
}

/// What becomes of the operation when the phone could not do it.
struct FailureRule {
  Reason reason;
  std::string_view words;
};

FailureRule rule_of(PhoneFailure failure) {
  switch (failure) {
    case PhoneFailure::kKeyGeneration: return {Reason::kKeyGenerationFailed, words(Reason::kKeyGenerationFailed)};
    case PhoneFailure::kStore: return {Reason::kPhoneRefused, "the phone refused to store the certificate"};
    case PhoneFailure::kDelete: return {Reason::kPhoneRefused, "the phone refused to delete the certificate"};
    case PhoneFailure::kFetch: return {Reason::kPhoneRefused, "the phone refused to hand over its certificate"};
    case PhoneFailure::kNoEc: return {Reason::kPhoneWithoutEc, words(Reason::kPhoneWithoutEc)};
  }
  CAPF_INVARIANT(false);
}

/// Revokes the unconfirmed certificates of an operation: the phone says that it has not stored them.
Status revoke_unstored(Transaction& tx, const Actor& actor, const Operation& operation) {
  if (operation.certificates == 0) return {};
  CAPF_LET(const auto live, tx.certificates().live(operation.phone_id));
  for (const Certificate& certificate : live) {
    if (certificate.operation_id != operation.id || certificate.confirmed_at) continue;
    CAPF_TRY(revoke(tx, actor, certificate, RevocationReason::kCessationOfOperation));
  }
  return {};
}

/// A phone whose renewals fail begins again by itself; after two in a row it waits for an administrator.
Status stop_after_two(Transaction& tx, const Actor& actor, const Operation& operation) {
  if (!operation.self_service) return {};
  CAPF_LET(const auto before, tx.operations().find_before(operation.phone_id, operation.id));
  if (!before || !before->self_service || before->state != OperationState::kFailed) return {};
  CAPF_TRY(tx.phones().set_self_service_stopped(operation.phone_id, true));
  return tx.audit().add(done(actor, "phone.stop_renewal", operation, "two renewals in a row have failed"));
}

Status fail_in(Transaction& tx, const Caller& caller, const Proven& proven, PhoneFailure failure,
               const std::string& detail) {
  const Operation& operation = *proven.operation;
  const Actor actor = device_actor(caller);
  const FailureRule rule = rule_of(failure);
  const std::string message = std::string(rule.words) + (detail.empty() ? "" : ": " + detail);
  if (failure == PhoneFailure::kKeyGeneration) {
    CAPF_LET(const int failures, tx.operations().count_failure(operation.id));
    CAPF_TRY(tx.audit().add(done(actor, "operation.key_generation_failed", operation,
                                 "time " + std::to_string(failures) + (detail.empty() ? "" : ", " + detail))));
    if (failures < kLargestKeyGenerationFailures) return {};
  }
  if (failure == PhoneFailure::kStore) CAPF_TRY(revoke_unstored(tx, actor, operation));
  CAPF_TRY(end_operation(tx, actor, operation, OperationState::kFailed, rule.reason, message));
  return stop_after_two(tx, actor, operation);
}

}  // namespace

Enrolment::Enrolment(Database& database, Authenticator& authenticator, const ca::Issuers& issuers,
                     const SitePolicy& policy, Botan::RandomNumberGenerator& random)
    : database_(database), authenticator_(authenticator), issuers_(issuers), policy_(policy), random_(random) {}

/// Authenticates, and does the work in one transaction in which the caller's authority is checked again. What the work
/// leaves in `ended` is committed first and told afterwards.
template <class Work>
auto Enrolment::perform(const Caller& caller, Need need, OperationKind kind, Work work)
    -> std::invoke_result_t<Work&, Transaction&, Proven&, std::optional<Error>&> {
  CAPF_LET(const Proven before, authenticator_.authenticate(caller, need));
  return perform_as(caller, need, kind, before, work);
}

template <class Work>
auto Enrolment::perform_as(const Caller& caller, Need need, OperationKind kind, const Proven& before, Work work)
    -> std::invoke_result_t<Work&, Transaction&, Proven&, std::optional<Error>&> {
  using Answer = std::invoke_result_t<Work&, Transaction&, Proven&, std::optional<Error>&>;
  std::optional<Error> ended;
  Answer answer = in_write(database_, [&](Transaction& tx) -> Answer {
    ended.reset();
    CAPF_LET(Proven proven, authenticator_.authorise(tx, caller, need, before));
    // Connection and lock have been waited for; what is expensive comes now.
    if (caller.gone && caller.gone()) return fail(Reason::kCallerGone);
    CAPF_TRY(settle_credential(tx, caller, proven, policy_.superseded_grace));
    CAPF_TRY(remember_mic(tx, proven));
    // Who knows the string is not locked out for the wrong ones that came before it.
    if (proven.by == CredentialKind::kString) CAPF_TRY(tx.strings().forgive(proven.phone.id));
    return work(tx, proven, ended);
  });
  if (answer && ended) answer = tl::unexpected<Error>(*ended);
  // A phone that comes without anything pending is told so, and changes nothing. An error that may pass by itself is
  // not the phone's.
  const bool idle =
      !answer && answer.error().reason == Reason::kNoPendingOperation && caller.transport == kWireTransport;
  if (!answer && !idle && !may_be_repeated(answer.error().code()))
    record_refusal(database_, caller, before, kind, answer.error());
  return answer;
}

template <class Work>
auto Enrolment::go_on(const Caller& caller, const Proven& begun, Work work)
    -> std::invoke_result_t<Work&, Transaction&, Proven&, std::optional<Error>&> {
  using Answer = std::invoke_result_t<Work&, Transaction&, Proven&, std::optional<Error>&>;
  CAPF_INVARIANT(begun.operation.has_value());
  return perform_as(caller, Need::kOperation, begun.operation->kind, begun,
                    [&](Transaction& tx, Proven& proven, std::optional<Error>& ended) -> Answer {
                      if (!proven.operation) return fail(Reason::kOperationEnded);
                      if (proven.operation->session != begun.operation->session) return fail(Reason::kSessionReplaced);
                      return work(tx, proven, ended);
                    });
}

Result<PendingAnswer> Enrolment::pending(const Caller& caller) {
  const Result<Proven> before = authenticator_.authenticate(caller, Need::kDevice);
  if (!before) {
    // Who brought nothing hears the same for every name.
    const bool brought = caller.auth_string || caller.certificate;
    if (!brought && before.error().reason == Reason::kAuthenticationFailed) return PendingAnswer{};
    return tl::unexpected<Error>(before.error());
  }
  // Without a certificate nothing is left to be written.
  if (!before->certificate) return PendingAnswer{true, before->operation};
  return perform_as(caller, Need::kDevice, OperationKind::kInstall, *before,
                    [&](Transaction& tx, Proven& proven, std::optional<Error>&) -> Result<PendingAnswer> {
                      PendingAnswer told{true, proven.operation};
                      if (!proven.operation && renewable(proven, policy_, tx.now())) {
                        CAPF_LET(told.operation, renewal(tx, proven));
                      }
                      return told;
                    });
}

Result<IssueAnswer> Enrolment::issue(const Caller& caller, BytesView request) {
  return perform(caller, Need::kOperation, OperationKind::kInstall,
                 [&](Transaction& tx, Proven& proven, std::optional<Error>& ended) -> Result<IssueAnswer> {
                   CAPF_LET(const ca::OfferedKey key, ca::read_request(request));
                   CAPF_TRY(ca::check_key(key, policy_.allow_rsa_1024));
                   return issue_in(tx, caller, proven, key, Possession::kPkcs10, ended);
                 });
}

Result<IssueAnswer> Enrolment::issue_in(Transaction& tx, const Caller& caller, Proven& proven,
                                        const ca::OfferedKey& key, Possession possession, std::optional<Error>& ended) {
  const auto answer = [&](const Certificate& lsc) -> Result<IssueAnswer> {
    CAPF_LET(auto chain, issuer_chain(tx, lsc.issuer_id));
    return IssueAnswer{lsc.der, std::move(chain), lsc.operation_id};
  };
  CAPF_TRY(authenticator_.check_not_listed(key.digests));
  // The phone proved with the very certificate that it asks for, and nothing else is to be done: its last answer was
  // lost.
  const bool idle = !proven.operation && !renewable(proven, policy_, tx.now());
  if (idle && proven.lsc && proven.lsc->key_sha256 == key.digests.sha256) return answer(*proven.lsc);

  const Actor actor = device_actor(caller);
  if (!proven.operation && proven.by == CredentialKind::kOwnLsc) {
    if (!renewable(proven, policy_, tx.now())) return fail(Reason::kSelfServiceRefused);
    CAPF_LET(proven.operation, begin_renewal(tx, actor, proven));
  }
  CAPF_TRY(check_pending(proven, OperationKind::kInstall, tx.now()));
  const Operation& operation = *proven.operation;

  // The same request again gets the same certificate.
  if (operation.certificates > 0) {
    CAPF_LET(const auto issued, tx.certificates().find_issued(operation.id, key.digests.sha256));
    if (issued && issued->on_hold()) {
      return fail(Reason::kCertificateRevoked, "the certificate of this key is on hold");
    }
    if (issued) return answer(*issued);
  }

  CAPF_TRY(ca::check_wanted(key, operation.key));
  if (authenticator_.has_withdrawn(key.digests)) return fail(Reason::kKeyCompromised);
  // first, so that its own key is seen to be a MIC's
  CAPF_TRY(claim_key(tx, proven.phone, key));
  if (operation.certificates >= kLargestCertificatesPerOperation) {
    // A phone that renews by itself would begin again for ever.
    if (operation.self_service) CAPF_TRY(tx.phones().set_self_service_stopped(proven.phone.id, true));
    ended = fail(Reason::kCertificateLimit).value();
    CAPF_TRY(end_operation(tx, actor, operation, OperationState::kFailed, ended->reason, ended->message));
    return IssueAnswer{};
  }

  // Signed and checked here, stored in this transaction: it leaves the process after the commit only.
  const std::optional<ca::JudgedMic>& mic = proven.mic ? proven.mic : proven.fresh_mic;
  const std::string model = mic ? mic->model : proven.phone.model;
  const ca::LscRequest request{proven.phone.device, model,    mic ? mic->serial_number : "",
                               key.public_key,      tx.now(), policy_.lsc_validity,
                               policy_.lsc_subject};
  CAPF_LET(const auto issuer, active_issuer(tx, issuers_));
  CAPF_LET(const ca::IssuedLsc lsc, issuer->issue(request, random_));
  Certificate certificate;
  certificate.sha256 = lsc.sha256;
  certificate.serial = lsc.serial;
  certificate.issuer_id = issuer->record().id;
  certificate.issuer = issuer->record().subject;
  certificate.phone_id = proven.phone.id;
  certificate.device = proven.phone.device.text();
  certificate.operation_id = operation.id;
  certificate.key_sha256 = key.digests.sha256;
  certificate.der = lsc.der;
  certificate.not_before = lsc.not_before;
  certificate.not_after = lsc.not_after;
  certificate.issued_at = tx.now();
  certificate.possession = possession;
  certificate.shard = lsc.shard;
  CAPF_TRY(tx.certificates().add(certificate));
  const bool expired_mic = proven.mic && proven.mic->expired;
  CAPF_LET(const auto session,
           tx.operations().advance(operation.id, OperationState::kIssued, proven.by, proven.certificate, expired_mic));
  if (!session) return fail(Reason::kOperationEnded);
  CAPF_TRY(tx.audit().add(done(actor, "certificate.issue", operation,
                               "serial " + serial_text(lsc.serial) + ", " + proof_words(caller, proven))));
  return IssueAnswer{certificate.der, issuer->chain(), operation.id};
}

Result<Operation> Enrolment::renewal(Transaction& tx, const Proven& proven) {
  Operation operation{.phone_id = proven.phone.id, .device = proven.phone.device};
  operation.auth = AuthMode::kLsc;
  operation.self_service = true;
  operation.created_by = proven.phone.device.text();
  operation.created_at = tx.now();
  operation.completes_by = std::min(proven.lsc->not_after, tx.now() + kDefaultDeadline);
  // A successor of the same kind of key.
  CAPF_LET(const auto origin, tx.operations().find(proven.lsc->operation_id));
  if (origin) operation.key = origin->key;
  return operation;
}

Result<Operation> Enrolment::begin_renewal(Transaction& tx, const Actor& actor, const Proven& proven) {
  CAPF_LET(Operation operation, renewal(tx, proven));
  CAPF_LET(operation.id, tx.operations().next_id());
  CAPF_LET(const bool added, tx.operations().add(operation, 0));
  if (!added) return fail(Reason::kChangedMeanwhile);
  CAPF_TRY(tx.audit().add(done(actor, "operation.schedule", operation, "renewal by the phone itself")));
  return operation;
}

Status Enrolment::confirm(const Caller& caller, const Sha256& sha256) {
  CAPF_LET(const bool again, was_confirmed(database_, caller, sha256));
  if (again) return {};
  return perform(caller, Need::kDevice, OperationKind::kInstall,
                 [&](Transaction& tx, Proven& proven, std::optional<Error>&) -> Status {
                   if (proven.lsc && proven.lsc->sha256 == sha256) return {};  // authenticating has confirmed it
                   return confirm_in(tx, caller, proven, sha256, policy_.superseded_grace);
                 });
}

Result<int> Enrolment::give_up(const Caller& caller) {
  CAPF_LET(const bool again, was_given_up(database_, caller));
  if (again) return 0;
  return perform(caller, Need::kOperation, OperationKind::kDelete,
                 [&](Transaction& tx, Proven& proven, std::optional<Error>&) -> Result<int> {
                   CAPF_TRY(check_pending(proven, OperationKind::kDelete, tx.now()));
                   CAPF_TRY(start(tx, proven));
                   return give_up_in(tx, caller, proven);
                 });
}

Status Enrolment::hand_over(const Caller& caller, const std::vector<Bytes>& certificates) {
  return perform(caller, Need::kOperation, OperationKind::kTroubleshoot,
                 [&](Transaction& tx, Proven& proven, std::optional<Error>&) -> Status {
                   CAPF_TRY(check_pending(proven, OperationKind::kTroubleshoot, tx.now()));
                   CAPF_TRY(start(tx, proven));
                   return hand_over_in(tx, caller, proven, certificates);
                 });
}

Status Enrolment::report_failure(const Caller& caller, PhoneFailure failure) {
  return perform(caller, Need::kOperation, OperationKind::kInstall,
                 [&](Transaction& tx, Proven& proven, std::optional<Error>&) -> Status {
                   if (!proven.operation) return fail(Reason::kNoPendingOperation);
                   CAPF_TRY(start(tx, proven));
                   return fail_in(tx, caller, proven, failure, "");
                 });
}

Result<Proven> Enrolment::begin(const Caller& caller) {
  return perform(caller, Need::kOperation, OperationKind::kInstall,
                 [&](Transaction& tx, Proven& proven, std::optional<Error>&) -> Result<Proven> {
                   if (!proven.operation && renewable(proven, policy_, tx.now())) {
                     CAPF_LET(proven.operation, begin_renewal(tx, device_actor(caller), proven));
                   }
                   if (!proven.operation) return fail(Reason::kNoPendingOperation);
                   CAPF_TRY(check_pending(proven, proven.operation->kind, tx.now()));
                   CAPF_TRY(start(tx, proven));
                   CAPF_TRY(tx.audit().add_repeated(
                       done(device_actor(caller), "operation.begin", *proven.operation, proof_words(caller, proven))));
                   return proven;
                 });
}

Result<IssueAnswer> Enrolment::issue_key(const Caller& caller, const Proven& begun, BytesView public_key) {
  return go_on(caller, begun, [&](Transaction& tx, Proven& proven, std::optional<Error>& ended) -> Result<IssueAnswer> {
    CAPF_LET(const ca::OfferedKey key, ca::read_public_key(public_key));
    CAPF_TRY(ca::check_key(key, policy_.allow_rsa_1024));
    return issue_in(tx, caller, proven, key, Possession::kNone, ended);
  });
}

Status Enrolment::stored(const Caller& caller, const Proven& begun, const Sha256& certificate) {
  return go_on(caller, begun, [&](Transaction& tx, Proven& proven, std::optional<Error>&) -> Status {
    return confirm_in(tx, caller, proven, certificate, policy_.superseded_grace);
  });
}

Result<int> Enrolment::gave_up(const Caller& caller, const Proven& begun) {
  return go_on(caller, begun, [&](Transaction& tx, Proven& proven, std::optional<Error>&) -> Result<int> {
    return give_up_in(tx, caller, proven);
  });
}

Status Enrolment::handed_over(const Caller& caller, const Proven& begun, const std::vector<Bytes>& certificates) {
  return go_on(caller, begun, [&](Transaction& tx, Proven& proven, std::optional<Error>&) -> Status {
    return hand_over_in(tx, caller, proven, certificates);
  });
}

void Enrolment::broke_off(const Caller& caller, const Proven& begun, const Error& why) {
  record_refusal(database_, caller, begun, begun.operation->kind, why);
}

Status Enrolment::failed(const Caller& caller, const Proven& begun, PhoneFailure failure, const std::string& detail) {
  return go_on(caller, begun, [&](Transaction& tx, Proven& proven, std::optional<Error>&) -> Status {
    return fail_in(tx, caller, proven, failure, detail);
  });
}

}  // namespace capf::service
