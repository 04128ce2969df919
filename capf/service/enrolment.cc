#include "capf/service/enrolment.h"

#include <utility>

#include "capf/ca/certificate.h"
#include "capf/ca/request.h"
#include "capf/domain/serial.h"
#include "capf/rules/confirm.h"
#include "capf/rules/give_up.h"
#include "capf/rules/hand_over.h"

namespace capf::service {
namespace {

/// The same again, from a new look, for as long as somebody else changes what it rests on.
template <class Work>
auto repeated(Work work) {
  for (int tries = 1;; ++tries) {
    auto result = work();
    const bool changed = !result && result.error().reason == Reason::kChangedMeanwhile;
    if (!changed || tries == Enrolment::kMostTries) return result;
  }
}

// The write alone tells an operation's id and the session: both become part of the answer.
template <class Answer>
void complete(Answer&, const Written&) {}
void complete(rules::IssueAnswer& answer, const Written& written) {
  if (answer.operation_id == kAddedOperation) answer.operation_id = written.added_operation;
}
void complete(rules::BeginAnswer& answer, const Written& written) {
  answer.begun = rules::begun_of(std::move(answer.begun), written);
}

/// In a dialogue the operation says how the phone proves itself; else its own LSC will do.
rules::Need need_of(const Caller& caller) { return caller.begun ? rules::Need::kOperation : rules::Need::kDevice; }

}  // namespace

/// One method of a phone: the facts that it asks for, and the rules that answer it.
template <class Answer>
struct Enrolment::UseCase {
  rules::Need need = rules::Need::kOperation;
  Asked asked{};
  std::function<rules::Decision<Answer>(const rules::Facts&, const rules::Identity&)> decide;
  /// The answer that was given before and was lost, asked for before anybody is judged. May be empty.
  std::function<std::optional<Result<Answer>>(const rules::Facts&)> find_lost{};
  /// The answer to a caller who is not the device. May be empty: the refusal.
  std::function<Result<Answer>(const rules::Facts&, const rules::Refusal&)> refuse{};
};

/// The things that the tries of one call have in common.
struct Enrolment::Issuing {
  std::optional<Signing::Turn> turn;
  std::optional<rules::SignedLsc> made;  ///< the last one
};

Enrolment::Enrolment(Rounds& rounds, Dossiers& dossiers, Authenticator& authenticator, const ca::Issuers& issuers,
                     const SitePolicy& policy, Metrics& metrics, Botan::RandomNumberGenerator& random)
    : rounds_(rounds),
      dossiers_(dossiers),
      authenticator_(authenticator),
      issuers_(issuers),
      policy_(policy),
      metrics_(metrics),
      random_(random) {}

template <class Answer>
Result<Answer> Enrolment::perform(const Caller& caller, const UseCase<Answer>& use) {
  std::optional<rules::Begun> proven = caller.begun;
  return repeated([&] { return attempt(caller, use, proven); });
}

/// @param proven who the caller has proven to be, in this dialogue or in a try before
template <class Answer>
Result<Answer> Enrolment::attempt(const Caller& caller, const UseCase<Answer>& use,
                                  std::optional<rules::Begun>& proven) {
  CAPF_LET(Sight sight, dossiers_.look(caller, use.asked));
  const rules::Facts facts = sight.facts();
  if (use.find_lost) {
    if (auto lost = use.find_lost(facts)) return *std::move(lost);
  }
  CAPF_LET(const rules::Judgement judgement, judge(caller, sight, use.need, proven));
  if (!judgement) {
    const rules::Refusal& refusal = judgement.error();
    CAPF_TRY(put_on_record(caller, refusal, sight.dossier.now));
    if (use.refuse) return use.refuse(facts, refusal);
    return fail(refusal.answer());
  }
  if (!proven) proven = rules::begun_of(*judgement);
  if (caller.has_gone()) return fail(Reason::kCallerGone);
  return carry_out(caller, use.decide(facts, *judgement));
}

Result<rules::Judgement> Enrolment::judge(const Caller& caller, Sight& sight, rules::Need need,
                                          const std::optional<rules::Begun>& proven) {
  if (proven) return rules::go_on(sight.facts(), need, *proven);
  return authenticator_.judge(caller, sight, need);
}

/// An answer is given once it is written. A refusal is told in any case.
template <class Answer>
Result<Answer> Enrolment::carry_out(const Caller& caller, rules::Decision<Answer> decision) {
  if (!decision.answer) {
    CAPF_TRY(put_on_record(caller, decision.change, decision.answer.error()));
    return std::move(decision.answer);
  }
  if (!decision.change) return std::move(decision.answer);
  CAPF_LET([[maybe_unused]] const Written written, write(caller, *decision.change));
  if constexpr (!std::is_void_v<Answer>) complete(*decision.answer, written);
  return std::move(decision.answer);
}

/// A stranger's refusal is recorded after the answer, apart from what must hold against the next try.
Status Enrolment::put_on_record(const Caller& caller, const rules::Refusal& refusal, TimePoint at) {
  switch (refusal.notice) {
    case rules::Notice::kNone: return {};
    case rules::Notice::kPhone: return put_on_record(caller, refusal.change, refusal.error);
    case rules::Notice::kStranger: break;
  }
  const Result<Written> kept = refusal.change ? write(caller, *refusal.change) : Written();
  // One that is judged again is told then.
  const bool again = !kept && kept.error().reason == Reason::kChangedMeanwhile;
  if (!again) authenticator_.report(caller, refusal, at);
  CAPF_TRY(kept);
  return {};
}

/// Errors: CHANGED_MEANWHILE.
Status Enrolment::put_on_record(const Caller& caller, const std::optional<Change>& change, const Error& refusal) {
  if (!change) return {};
  const Result<Written> written = write(caller, *change);
  if (!written) {
    if (written.error().reason == Reason::kChangedMeanwhile) return fail(written.error());
    report_unrecorded(written.error());
    return {};
  }
  if (const auto left_out = refusals_.admit(std::chrono::steady_clock::now())) {
    log_info("phone.refused", {{"device", caller.device.text()},
                               {"address", caller.address.to_string()},
                               {"reason", refusal.true_reason()},
                               {"message", refusal.message},
                               {"cause", refusal.cause},
                               {"left_out", *left_out}});
  }
  return {};
}

/// While the database is away, every call that ends has one.
void Enrolment::report_unrecorded(const Error& why) {
  const auto left_out = unrecorded_.admit(std::chrono::steady_clock::now());
  if (left_out) log_error("record.failed", why, {{"left_out", *left_out}});
}

/// Asks once more whether this server may decide by what it has seen: its clock may have been set since.
Result<Written> Enrolment::write(const Caller& caller, const Change& change) {
  CAPF_TRY(dossiers_.check(change.basis.looked_at));
  return rounds_.write(change, caller.share(true), caller.gone);
}

/// An LSC that was signed and is not on record never leaves the server.
void Enrolment::report_unwritten(const Caller& caller, const rules::SignedLsc& made, Reason why) {
  metrics_.count_unwritten_lsc();
  log_info("certificate.unwritten",
           {{"device", caller.device.text()}, {"serial", serial_text(made.lsc.serial)}, {"reason", why}});
}

Result<rules::PendingAnswer> Enrolment::pending(const Caller& caller) {
  UseCase<rules::PendingAnswer> use;
  use.need = rules::Need::kDevice;
  use.decide = [](const rules::Facts& facts, const rules::Identity& identity) {
    return rules::pending(facts, identity);
  };
  use.refuse = [](const rules::Facts& facts, const rules::Refusal& refusal) { return rules::pending(facts, refusal); };
  return perform(caller, use);
}

Result<rules::BeginAnswer> Enrolment::begin(const Caller& caller) {
  UseCase<rules::BeginAnswer> use;
  use.decide = rules::begin;
  return perform(caller, use);
}

Status Enrolment::check(const Caller& caller) {
  CAPF_INVARIANT(caller.begun.has_value());
  UseCase<void> use;
  use.decide = rules::goes_on;
  return perform(caller, use);
}

Result<rules::IssueAnswer> Enrolment::issue(const Caller& caller, BytesView key, Possession possession) {
  rules::Offer offer = dossiers_.read_offer(key, possession);
  UseCase<rules::IssueAnswer> use;
  if (offer.key) use.asked.offered = offer.key->digests;
  bool checked = false;
  Issuing issuing;
  use.decide = [&](const rules::Facts& facts, const rules::Identity& identity) -> rules::Decision<rules::IssueAnswer> {
    // For a phone alone: it takes a millisecond.
    if (offer.key && !std::exchange(checked, true)) {
      if (Status good = ca::check_key(*offer.key, policy_.allow_rsa_1024); !good) {
        offer.key = fail(std::move(good).error());
      }
    }
    if (use.asked.offered) offer.record = facts.dossier.claims.front();
    auto planned = rules::plan(facts, identity, offer);
    if (auto* const decided = std::get_if<rules::Decision<rules::IssueAnswer>>(&planned)) return std::move(*decided);
    return sign(caller, facts, identity, std::get<rules::ToSign>(std::move(planned)), issuing);
  };
  auto answer = perform(caller, use);
  if (!issuing.made) return answer;
  // A commit in doubt may have been made.
  const bool may_be_written =
      answer ? answer->certificate == issuing.made->lsc.der : answer.error().reason == Reason::kCommitInDoubt;
  if (!may_be_written) {
    report_unwritten(caller, *issuing.made, answer ? Reason::kChangedMeanwhile : answer.error().reason);
  }
  return answer;
}

/// With no lock and no connection in hand: a token may take its time. A try that finds the plan of the one before
/// signs nothing.
rules::Decision<rules::IssueAnswer> Enrolment::sign(const Caller& caller, const rules::Facts& facts,
                                                    const rules::Identity& identity, rules::ToSign plan,
                                                    Issuing& issuing) {
  const auto refuse = [&](Error error) -> rules::Decision<rules::IssueAnswer> {
    auto change = rules::record_refusal(facts, rules::begun_of(identity), OperationKind::kInstall, error);
    return {fail(std::move(error)), std::move(change)};
  };
  const auto issuer = issuers_.find(plan.issuer_id);
  if (!issuer) return refuse(Error::of(Reason::kIssuerKeyAbsent));
  if (caller.has_gone()) return refuse(Error::of(Reason::kCallerGone));
  if (!issuing.turn && !signing_.take(issuing.turn, identity.phone.id, caller.gone)) {
    return {tl::unexpected<Error>(Error::of(Reason::kChangedMeanwhile))};
  }
  if (!issuing.made || !rules::will_do(*issuing.made, plan)) {
    auto lsc = issuer->issue(plan.request, random_);
    if (!lsc) return refuse(std::move(lsc).error());
    if (issuing.made) report_unwritten(caller, *issuing.made, Reason::kChangedMeanwhile);
    issuing.made = {plan.issuer_id, plan.request, *std::move(lsc)};
  }
  return rules::issue(std::move(plan), issuing.made->lsc, issuer->record());
}

Status Enrolment::confirm(const Caller& caller, const Sha256& sha256) {
  UseCase<void> use;
  use.need = need_of(caller);
  use.asked.confirmed = sha256;
  if (!caller.begun) {
    use.find_lost = [&](const rules::Facts& facts) {
      return rules::was_confirmed(facts, sha256) ? std::optional(Status()) : std::nullopt;
    };
  }
  use.decide = [&](const rules::Facts& facts, const rules::Identity& identity) {
    return rules::confirm(facts, identity, sha256);
  };
  return perform(caller, use);
}

Result<int> Enrolment::give_up(const Caller& caller) {
  UseCase<int> use;
  if (!caller.begun) {
    use.find_lost = [](const rules::Facts& facts) {
      return rules::was_given_up(facts) ? std::optional(Result<int>(0)) : std::nullopt;
    };
  }
  use.decide = rules::give_up;
  return perform(caller, use);
}

Status Enrolment::hand_over(const Caller& caller, const std::vector<Bytes>& certificates) {
  std::vector<rules::Handed> handed;
  UseCase<void> use;
  use.decide = [&](const rules::Facts& facts, const rules::Identity& identity) {
    handed.clear();
    if (certificates.size() <= ca::kLongestChain) {
      for (const Bytes& der : certificates) handed.push_back({der, ca::read_certificate(der)});
    }
    return rules::hand_over(facts, identity, handed);
  };
  return perform(caller, use);
}

Status Enrolment::report_failure(const Caller& caller, rules::PhoneFailure failure, const std::string& detail) {
  UseCase<void> use;
  use.decide = [&](const rules::Facts& facts, const rules::Identity& identity) {
    return rules::report_failure(facts, identity, failure, detail);
  };
  return perform(caller, use);
}

void Enrolment::broke_off(const Caller& caller, const Error& why) {
  CAPF_INVARIANT(caller.begun.has_value());
  Caller named = caller;  // it shows nothing, needs no place that others wait for, and is written though it has gone
  named.certificate.reset();
  named.auth_string.reset();
  named.gone = {};
  const Status recorded = repeated([&]() -> Status {
    CAPF_LET(const Sight sight, dossiers_.look(named, {}));
    return put_on_record(named, rules::broke_off(sight.facts(), *caller.begun, why), why);
  });
  if (!recorded) report_unrecorded(recorded.error());
}

}  // namespace capf::service
