#include "capf/service/authenticator.h"

#include <algorithm>
#include <utility>

#include "capf/base/log.h"
#include "capf/ca/certificate.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

Refusal refusal_of(Error error, const Proven& proven) { return {std::move(error), proven.phone, proven.operation}; }

tl::unexpected<Refusal> refused(Reason reason, const Proven& proven) {
  return tl::unexpected<Refusal>(refusal_of(fail(reason).value(), proven));
}

tl::unexpected<Refusal> refused(Error error, const Proven& proven) {
  return tl::unexpected<Refusal>(refusal_of(std::move(error), proven));
}

/// What a stranger hears in place of the truth.
tl::unexpected<Error> conceal(const Error& error) {
  return tl::unexpected<Error>(Error{Reason::kAuthenticationFailed, std::string(words(Reason::kAuthenticationFailed)),
                                     error.message, error.reason});
}

/// Whether the certificate, or one of the CAs that vouch for it, is blocked, or its key is.
template <class Judged>
Result<bool> is_blocked(Transaction& tx, const Withdrawn& withdrawn, const Judged& judged) {
  std::vector<Sha256> certificates{judged.sha256};
  std::vector<Sha256> keys = judged.key.all();
  for (const ca::PathCertificate& issuer : judged.issuers) {
    certificates.push_back(issuer.sha256);
    for (const Sha256& digest : issuer.key.all()) keys.push_back(digest);
  }
  if (withdrawn.has_key(keys)) return true;
  return tx.blocks().refuses(certificates, keys);
}

/// Whether the certificate's key, or one of those that vouch for it, is on the site's list of weak ones.
template <class Judged>
Status check_path(const ca::Blacklist& blacklist, const Judged& judged) {
  CAPF_TRY(blacklist.check(judged.key));
  for (const ca::PathCertificate& issuer : judged.issuers) CAPF_TRY(blacklist.check(issuer.key));
  return {};
}

/// The number by which a device's string is known again: the first eight octets of its keyed hash, which is none of
/// those that are compared, since no operation has the number 0.
std::int64_t known_again(const Bytes& mac) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < 8; ++i) number = number << 8 | mac[i];
  return static_cast<std::int64_t>(number);
}

/// The certificates that the caller has shown, whether or not they prove anything.
std::vector<ca::CertificateWords> shown_by(const Caller& caller) {
  std::vector<ca::CertificateWords> shown;
  if (caller.certificate) {
    shown.push_back(ca::describe_certificate(caller.certificate->leaf));
    if (caller.certificate->second) shown.push_back(ca::describe_certificate(*caller.certificate->second));
  }
  for (const Bytes& der : caller.unproven) shown.push_back(ca::describe_certificate(der));
  return shown;
}

/// The message of a refusal with the certificates that the caller has shown.
std::string with_shown(std::string message, const std::vector<ca::CertificateWords>& shown) {
  for (const ca::CertificateWords& each : shown) {
    message += (&each == &shown.front() ? "; shown: " : "; and: ") + each.text();
  }
  return message;
}

Result<PhoneFacts> facts_of(Transaction& tx, const Phone& phone) {
  CAPF_LET(const LscHistory history, tx.certificates().history(phone.id));
  return PhoneFacts{.valid_lsc_on_record = history.valid,
                    .had_own_lsc = history.ever_confirmed,
                    .had_mic = phone.mic_sha256.has_value()};
}

}  // namespace

Result<Proven> Authenticator::authenticate(const Caller& caller, Need need) {
  struct Sight {
    std::optional<Phone> phone;
    std::optional<Operation> operation;
    std::optional<Reason> limit;
    std::optional<Judgement> judgement;
    TimePoint at;
  };
  CAPF_TRY(high_water_.check());
  // A right string is not counted in the end: its transaction is rolled back. What that leaves of it stands here.
  std::optional<Sight> right;
  const auto look = [&](Transaction& tx) -> Result<Sight> {
    right.reset();
    CAPF_TRY(check_clock(tx, clock_));
    // A standby may not know yet who was blocked and what was revoked.
    if (tx.standby()) return fail(Reason::kDatabaseReadOnly);
    Sight seen;
    seen.at = tx.now();
    CAPF_LET(seen.phone, tx.phones().find(caller.device));
    if (seen.phone && caller.on_found) caller.on_found(*seen.phone);
    // The database is asked the same whether or not the name is on record: see judge().
    CAPF_LET(seen.operation, tx.operations().find_open(seen.phone ? seen.phone->id : 0));
    const bool compares = caller.auth_string && seen.operation && seen.operation->auth == AuthMode::kString;
    if (caller.auth_string && caller.certificate && need == Need::kDevice) {
      // Its own LSC will do: then the string is neither counted nor compared.
      Caller bare = caller;
      bare.auth_string.reset();
      CAPF_LET(seen.judgement, judge(tx, bare, need, seen.phone, seen.operation, false));
      if (*seen.judgement && (*seen.judgement)->by == CredentialKind::kOwnLsc) return seen;
    }
    const bool ignored = seen.operation && seen.operation->auth == AuthMode::kNull;
    if (caller.auth_string && caller.certificate && !compares && !ignored) {
      // Where no certificate decides, the string is a stranger's try like any other.
      CAPF_LET(seen.judgement, judge(tx, caller, need, seen.phone, seen.operation, false));
      if (*seen.judgement) return seen;
      CAPF_LET(seen.limit, count_string(tx, caller, seen.phone, std::nullopt));
      return seen;
    }
    if (compares || (caller.auth_string && !ignored)) {
      // Before it is compared, and a wrong one is told after the commit: no crash and no other server gives the try
      // back.
      CAPF_LET(seen.limit, count_string(tx, caller, seen.phone, compares ? seen.operation : std::nullopt));
      if (seen.limit) return seen;
    }
    CAPF_LET(seen.judgement, judge(tx, caller, need, seen.phone, seen.operation, false));
    if (*seen.judgement && (*seen.judgement)->by == CredentialKind::kString) {
      CAPF_INVARIANT(compares);  // what was compared was counted
      right = std::move(seen);
      return fail(Reason::kChangedMeanwhile, "rolled back");
    }
    return seen;
  };
  Result<Sight> looked = caller.auth_string ? in_write(database_, look) : in_read(database_, look);
  if (right) return **std::move(right->judgement);
  CAPF_LET(Sight sight, std::move(looked));

  if (sight.limit) {
    // In a transaction of its own: the phone's lock comes before those of the counts. The next try would do it again.
    if (sight.limit == Reason::kAuthStringExhausted) CAPF_TRY(end_exhausted(caller, *sight.operation));
    strings_.mac(0, caller.device, caller.auth_string->text());  // as long as a comparison takes
    return refuse(caller, {fail(*sight.limit).value(), sight.phone, sight.operation}, sight.at);
  }
  Judgement& judgement = *sight.judgement;
  if (!judgement) return refuse(caller, judgement.error(), sight.at);
  return std::move(*judgement);
}

Result<Proven> Authenticator::authorise(Transaction& tx, const Caller& caller, Need need, const Proven& before) {
  CAPF_TRY(check_clock(tx, clock_));  // a session lasts: the clock may have been set since it began
  CAPF_LET(const auto phone, tx.phones().lock(caller.device));
  std::optional<Operation> operation;
  if (phone) {
    CAPF_LET(operation, tx.operations().find_open(phone->id));
  }
  CAPF_LET(Judgement judgement, judge(tx, caller, need, phone, operation, true));
  const std::optional<Operation>& now = judgement ? judgement->operation : judgement.error().operation;
  if (before.operation && (!now || now->id != before.operation->id)) return fail(Reason::kOperationEnded);
  const bool string_now = judgement && judgement->by == CredentialKind::kString;
  if (string_now && before.by != CredentialKind::kString) return fail(Reason::kOperationEnded);
  if (!judgement) return conceal(judgement.error().error);
  if (judgement->phone.id != before.phone.id) {
    return conceal(fail(Reason::kUnknownDevice, "another phone has the name now").value());
  }
  return *std::move(judgement);
}

Result<std::optional<Reason>> Authenticator::count_string(Transaction& tx, const Caller& caller,
                                                          const std::optional<Phone>& phone,
                                                          const std::optional<Operation>& operation) {
  const StringTry said{caller.address.block(), known_again(strings_.mac(0, caller.device, caller.auth_string->text())),
                       policy_.wrong_strings_of(caller.address)};
  if (!phone || !operation) return tx.strings().count_stranger(said);
  return tx.strings().count(phone->id, operation->id, said);
}

Status Authenticator::end_exhausted(const Caller& caller, const Operation& operation) {
  return in_write(database_, [&](Transaction& tx) -> Status {
    CAPF_TRY(tx.phones().lock(caller.device));
    constexpr Reason kReason = Reason::kAuthStringExhausted;
    CAPF_TRY(end_operation(tx, device_actor(caller), operation, OperationState::kFailed, kReason,
                           std::string(words(kReason))));
    return {};
  });
}

Result<Authenticator::Judgement> Authenticator::judge(Transaction& tx, const Caller& caller, Need need,
                                                      const std::optional<Phone>& phone,
                                                      const std::optional<Operation>& operation, bool locked) {
  // One HMAC, and the certificate judged, whatever comes of it: the time tells no name from another.
  const Bytes mac = strings_.mac(operation ? operation->id : 0, caller.device,
                                 caller.auth_string ? caller.auth_string->text() : std::string_view{});
  const bool by_certificate = !operation || operation->auth == AuthMode::kLsc || operation->auth == AuthMode::kMic;
  const bool counts = by_certificate || need == Need::kDevice;
  std::optional<Judgement> judged;
  if (caller.certificate && !caller.bad_proof && (counts || !locked)) {
    const Phone nobody{.device = caller.device};
    const Proven shown{phone ? *phone : nobody, operation, CredentialKind::kNone, {}, {}, {}, {}};
    CAPF_LET(judged, judge_certificate(tx, caller, shown, locked));
  }
  // What this server has seen withdrawn for ever stays so, whatever an older database says. A block may have been taken
  // back by another server a moment ago: only the database knows.
  const Withdrawn& withdrawn = high_water_.withdrawn();
  if (!phone || withdrawn.has_phone(phone->id, phone->device)) {
    return Judgement(tl::unexpected<Refusal>(Refusal{fail(Reason::kUnknownDevice).value(), {}, {}}));
  }

  Proven proven{*phone, operation, CredentialKind::kNone, {}, {}, {}, {}};
  if (phone->blocked_at) return Judgement(refused(Reason::kDeviceBlocked, proven));

  const bool on_wire = caller.transport == kWireTransport;
  const auto idle = [&] {
    return Judgement(
        refused(caller.auth_string || on_wire ? Reason::kNoPendingOperation : Reason::kCredentialMissing, proven));
  };
  if (caller.bad_proof) return operation ? Judgement(refused(*caller.bad_proof, proven)) : idle();
  if (judged && counts) {
    Judgement& credential = *judged;
    const bool stolen = !credential && credential.error().error.reason == Reason::kSupersededLscUsed;
    // On the wire a phone without anything pending hears so, whatever it brought; a stolen key is another matter.
    if (!credential && !operation && on_wire && !stolen) return idle();
    if (by_certificate && !credential) return std::move(credential);
    const bool own = credential && credential->by == CredentialKind::kOwnLsc;
    if (!operation || (own && need == Need::kDevice)) return std::move(credential);
    if (by_certificate) proven = *std::move(credential);
  }
  if (!operation) return idle();

  if (operation->auth == AuthMode::kString && caller.auth_string) {
    if (!equal_in_constant_time(mac, operation->string_mac))
      return Judgement(refused(Reason::kAuthStringMismatch, proven));
    proven.by = CredentialKind::kString;
  } else if (operation->auth == AuthMode::kNull) {
    const auto& networks = policy_.null_string_networks;
    const bool inside = std::any_of(networks.begin(), networks.end(),
                                    [&](const Network& network) { return network.contains(caller.address); });
    if (!inside) return Judgement(refused(Reason::kNullStringNetwork, proven));
  } else if (by_certificate && proven.by == CredentialKind::kNone && caller.auth_string) {
    proven.by = CredentialKind::kString;  // for the table, which has the answer
  }
  // The phone's history decides only where a certificate has proven the phone.
  PhoneFacts facts;
  if (by_certificate && proven.certificate) {
    CAPF_LET(facts, facts_of(tx, *phone));
  }
  if (Status admitted = admits(operation->kind, operation->auth, proven.by, facts); !admitted) {
    return Judgement(refused(std::move(admitted).error(), proven));
  }
  // An expired MIC counts for a scheduled first LSC only.
  if (proven.mic && proven.mic->expired &&
      (operation->kind != OperationKind::kInstall || operation->self_service || facts.had_own_lsc)) {
    return Judgement(refused(Reason::kCertificateExpired, proven));
  }
  return Judgement(std::move(proven));
}

Result<Authenticator::Judgement> Authenticator::judge_certificate(Transaction& tx, const Caller& caller, Proven proven,
                                                                  bool locked) {
  const PresentedCertificate& presented = *caller.certificate;
  if (presented.chain.size() >= ca::kLongestChain) return Judgement(refused(Reason::kCertificateMalformed, proven));
  if (Status scanned = ca::scan_certificate(presented.leaf); !scanned) {
    return Judgement(refused(std::move(scanned).error(), proven));
  }
  for (const Bytes& certificate : presented.chain) {
    if (Status scanned = ca::scan_certificate(certificate); !scanned) {
      return Judgement(refused(std::move(scanned).error(), proven));
    }
  }
  proven.certificate = sha256(presented.leaf);

  CAPF_LET(const TrustCache::Snapshot trust, trust_.read(tx, locked));
  const auto refused_path = [&](const Error& error, BytesView leaf, std::span<const Bytes> chain) {
    Refusal refusal = refusal_of(error, proven);
    if (error.reason == Reason::kCertificateUnknownIssuer) {
      refusal.unknown_issuer = trust.store->find_unknown_issuer(leaf, chain);
    }
    return Judgement(tl::unexpected<Refusal>(std::move(refusal)));
  };
  if (presented.second) {
    Result<ca::JudgedMic> mic = trust.store->judge_mic(*presented.second, {}, caller.device, tx.now());
    if (!mic) return refused_path(mic.error(), *presented.second, {});
    CAPF_LET(const bool blocked, is_blocked(tx, high_water_.withdrawn(), *mic));
    if (blocked) return Judgement(refused(Reason::kCertificateBlocked, proven));
    if (Status good = check_path(blacklist_, *mic); !good) return Judgement(refused(good.error(), proven));
    proven.fresh_mic = *std::move(mic);
  }

  // An LSC of ours, of any generation: the device comes from the record, never from the name in it.
  CAPF_LET(proven.lsc, tx.certificates().find_lsc(*proven.certificate));
  if (proven.lsc) {
    if (proven.lsc->phone_id != proven.phone.id) return Judgement(refused(Reason::kCertificateNameMismatch, proven));
    if (tx.now() < proven.lsc->not_before) return Judgement(refused(Reason::kCertificateNotYetValid, proven));
    switch (proven.lsc->state(tx.now())) {
      case CertificateState::kSuperseded: return Judgement(refused(Reason::kSupersededLscUsed, proven));
      case CertificateState::kRevoked: return Judgement(refused(Reason::kCertificateRevoked, proven));
      case CertificateState::kExpired: return Judgement(refused(Reason::kCertificateExpired, proven));
      case CertificateState::kConfirmed:
      case CertificateState::kIssued: break;
    }
    // It may have got its certificate before the site had the list.
    if (!blacklist_.empty()) {
      CAPF_LET(const ca::CertificateFacts facts, ca::read_certificate(presented.leaf));
      if (Status good = blacklist_.check(facts.key); !good) return Judgement(refused(good.error(), proven));
    }
    proven.by = CredentialKind::kOwnLsc;
    return judge_freshness(presented, std::move(proven));
  }

  bool blocked = false;
  Status listed;
  Result<ca::JudgedMic> mic = trust.store->judge_mic(presented.leaf, presented.chain, caller.device, tx.now());
  if (mic) {
    CAPF_LET(blocked, is_blocked(tx, high_water_.withdrawn(), *mic));
    listed = check_path(blacklist_, *mic);
    proven.by = CredentialKind::kMic;
    proven.mic = *std::move(mic);
    if (presented.fresh) proven.fresh_mic = proven.mic;
    if (proven.mic->expired && !proven.operation) return Judgement(refused(Reason::kCertificateExpired, proven));
  } else if (mic.error().reason == Reason::kCertificateUnknownIssuer) {
    const Result<ca::JudgedLsc> lsc =
        trust.store->judge_foreign_lsc(presented.leaf, presented.chain, caller.device, tx.now());
    if (!lsc) return refused_path(lsc.error(), presented.leaf, presented.chain);
    // It serves one install, so without an operation it proves nothing.
    if (!proven.operation) return Judgement(refused(Reason::kCredentialMode, proven));
    CAPF_LET(blocked, is_blocked(tx, high_water_.withdrawn(), *lsc));
    listed = check_path(blacklist_, *lsc);
    proven.by = CredentialKind::kForeignLsc;
  } else {
    return Judgement(refused(mic.error(), proven));
  }
  if (blocked) return Judgement(refused(Reason::kCertificateBlocked, proven));
  if (!listed) return Judgement(refused(listed.error(), proven));
  return judge_freshness(presented, std::move(proven));
}

Authenticator::Judgement Authenticator::judge_freshness(const PresentedCertificate& presented, Proven proven) const {
  if (presented.called_mic && *presented.called_mic != (proven.by == CredentialKind::kMic)) {
    const Reason reason = Reason::kProofInvalid;
    return tl::unexpected<Refusal>(
        refusal_of(fail(reason, "the certificate is not of the type that the phone calls it").value(), proven));
  }
  // Every MIC that was shown is the one that the device showed first.
  const std::optional<Sha256>& first = proven.phone.mic_sha256;
  for (const auto& mic : {proven.mic, proven.fresh_mic}) {
    if (mic && first && mic->sha256 != *first) return refused(Reason::kMicChanged, proven);
  }
  if (proven.mic && proven.fresh_mic && proven.mic->sha256 != proven.fresh_mic->sha256) {
    return refused(Reason::kMicChanged, proven);
  }
  if (proven.phone.mic_fresh_at && !presented.fresh && !proven.fresh_mic)
    return refused(Reason::kProofDowngraded, proven);
  // Whoever once received it can repeat it: it serves what an administrator scheduled, where the site lets it.
  const bool scheduled = proven.operation && !proven.operation->self_service;
  if (!presented.fresh && (policy_.require_fresh_proof || !scheduled)) return refused(Reason::kProofNotFresh, proven);
  return proven;
}

tl::unexpected<Error> Authenticator::refuse(const Caller& caller, const Refusal& refusal, TimePoint at) {
  const Error& error = refusal.error;
  // That nothing is pending is no refusal there, and changes nothing.
  if (error.reason == Reason::kNoPendingOperation && caller.transport == kWireTransport) return conceal(error);
  if (on_refusal_) on_refusal_(error.reason);
  const std::vector<ca::CertificateWords> shown = shown_by(caller);
  if (const auto left_out = refusals_.admit(std::chrono::steady_clock::now())) {
    log_info("authentication.refused", {{"device", caller.device.text()},
                                        {"address", caller.address.to_string()},
                                        {"transport", caller.transport},
                                        {"reason", error.reason},
                                        {"message", error.message},
                                        {"shown", shown.empty() ? "nothing" : shown.front().sha256},
                                        {"left_out", *left_out}});
  }
  for (const ca::CertificateWords& each : shown) {
    const auto left_out = shown_.admit(std::chrono::steady_clock::now());
    if (!left_out) continue;
    log_info("certificate.shown", {{"device", caller.device.text()},
                                   {"subject", each.subject},
                                   {"issuer", each.issuer},
                                   {"serial", each.serial},
                                   {"dates", each.dates},
                                   {"sha256", each.sha256},
                                   {"left_out", *left_out}});
  }
  FailedAttempt failed{caller.address.block(),
                       {},
                       {},
                       {at, caller.address.to_string(), caller.transport,
                        refusal.operation ? refusal.operation->kind : OperationKind::kInstall, error.reason,
                        with_shown(error.message, shown)},
                       {}};
  if (refusal.phone) {
    failed.device = refusal.phone->device.text();
    failed.phone_id = refusal.phone->id;
    failed.unknown_issuer = refusal.unknown_issuer;
  }
  attempts_.add(std::move(failed));
  // Two hold one key, or somebody has an old one: only an administrator can tell. The key was proven in this session,
  // so this is no stranger who asks for names, and it is on record before the answer.
  const bool proven_now = caller.certificate && caller.certificate->fresh;
  if (error.reason == Reason::kSupersededLscUsed && proven_now && !refusal.phone->self_service_stopped_at) {
    const Status recorded = database_.write([&](Transaction& tx) -> Status {
      CAPF_TRY(tx.phones().set_self_service_stopped(refusal.phone->id, true));
      AuditEvent event =
          done(device_actor(caller), "phone.superseded_lsc_used", refusal.phone->device.text(), error.message);
      event.outcome = "refused";
      event.reason = error.reason;
      return tx.audit().add(event);
    });
    if (!recorded) return tl::unexpected<Error>(recorded.error());
  }
  return conceal(error);
}

}  // namespace capf::service
