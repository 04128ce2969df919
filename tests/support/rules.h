#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "capf/rules/begin.h"
#include "capf/rules/confirm.h"
#include "capf/rules/fail.h"
#include "capf/rules/give_up.h"
#include "capf/rules/hand_over.h"
#include "capf/rules/identify.h"
#include "capf/rules/issue.h"
#include "capf/rules/pending.h"

// Cases for the rules of enrolment: what is on record, what a phone brings, and what it asks for.

namespace capf::test {

inline TimePoint rules_now() { return parse_rfc3339("2026-06-01T12:00:00Z").value(); }
inline TimePoint rules_postmaster_start() { return rules_now() - std::chrono::hours{24}; }
inline DeviceName rules_device() { return DeviceName::parse("SEP001122334455").value(); }
constexpr std::int64_t kRulesPhone = 5;

inline Bytes octets_of(const std::string& text) { return {text.begin(), text.end()}; }

/// The names of digests, so that they can be printed.
inline std::map<Sha256, std::string>& digest_names() {
  static std::map<Sha256, std::string> names;
  return names;
}

inline Sha256 named(const std::string& name) {
  const Sha256 digest = sha256(octets_of(name));
  digest_names()[digest] = name;
  return digest;
}

enum class Ask : std::uint8_t { kPending, kIssue, kConfirm, kGiveUp, kHandOver, kReport, kBegin };

struct Case {
  rules::Caller caller{.device = rules_device(), .address = Address::parse("192.0.2.7").value()};
  Dossier dossier;
  SitePolicy policy;
  bool withdrawn = false;
  std::optional<Reason> limit{};  ///< what hearing the string would say
  std::optional<rules::Begun> begun{};

  Ask ask = Ask::kIssue;
  rules::Offer offer{.key = ca::OfferedKey{octets_of("spki"), named("key-new"), ca::KeyType::kRsa, 2048},
                     .possession = Possession::kPkcs10};
  Sha256 confirmed{};
  rules::PhoneFailure failure = rules::PhoneFailure::kStore;
  std::string detail{};
  std::vector<rules::Handed> handed{};
};

struct Outcome {
  std::string answer;
  std::optional<Error> error{};             ///< with its true reason
  std::optional<rules::Refusal> refusal{};  ///< of a caller who did not prove the device
  std::optional<Change> change{};
};

inline rules::Need need_of(const Case& subject) {
  const bool device = subject.ask == Ask::kPending || subject.ask == Ask::kConfirm;
  return device && !subject.begun ? rules::Need::kDevice : rules::Need::kOperation;
}

inline Outcome refused_outcome(const rules::Facts& facts, const Case& subject, const rules::Refusal& refusal) {
  Outcome outcome{"", refusal.error, refusal, refusal.change};
  if (subject.ask == Ask::kPending && rules::pending(facts, refusal)) outcome.answer = "not authenticated";
  return outcome;
}

template <class Answer, class Words>
Outcome outcome_of(rules::Decision<Answer> decision, Words words) {
  Outcome outcome{"", {}, {}, std::move(decision.change)};
  if (!decision.answer) {
    outcome.error = decision.answer.error();
    return outcome;
  }
  if constexpr (std::is_void_v<Answer>) {
    outcome.answer = words();
  } else {
    outcome.answer = words(*decision.answer);
  }
  return outcome;
}

inline IssuerRecord issuer_record(std::int64_t id) {
  IssuerRecord issuer;
  issuer.id = id;
  issuer.subject = "CN=CAPF";
  issuer.der = octets_of("issuer-" + std::to_string(id));
  return issuer;
}

inline Outcome issue_outcome(const rules::Facts& facts, const rules::Identity& who, const Case& subject) {
  auto planned = rules::plan(facts, who, subject.offer);
  const auto words = [](const rules::IssueAnswer& answer) {
    return "certificate " + std::string(answer.certificate.begin(), answer.certificate.end()) + " of operation " +
           std::to_string(answer.operation_id) + " chain of " + std::to_string(answer.chain.size());
  };
  if (auto* const decided = std::get_if<0>(&planned)) return outcome_of(std::move(*decided), words);
  auto& to_sign = std::get<1>(planned);
  const ca::IssuedLsc lsc{octets_of("lsc-new"),
                          Bytes{0x4a, 0x01},
                          named("lsc-new"),
                          to_sign.request.now,
                          to_sign.request.now + to_sign.request.validity,
                          0};
  const IssuerRecord issuer = issuer_record(to_sign.issuer_id);
  return outcome_of(rules::issue(std::move(to_sign), lsc, issuer), words);
}

inline std::string operation_words(const std::optional<Operation>& operation) {
  if (!operation) return "nothing is pending";
  return std::string(to_string(operation->kind)) + (operation->id == 0 ? " by itself" : "");
}

inline Outcome decide_for(const rules::Facts& facts, const rules::Identity& who, const Case& subject) {
  switch (subject.ask) {
    case Ask::kPending:
      return outcome_of(rules::pending(facts, who),
                        [](const rules::PendingAnswer& answer) { return operation_words(answer.operation); });
    case Ask::kIssue: return issue_outcome(facts, who, subject);
    case Ask::kConfirm:
      return outcome_of(rules::confirm(facts, who, subject.confirmed), [] { return std::string("confirmed"); });
    case Ask::kGiveUp:
      return outcome_of(rules::give_up(facts, who), [](int revoked) { return std::to_string(revoked) + " revoked"; });
    case Ask::kHandOver:
      return outcome_of(rules::hand_over(facts, who, subject.handed), [] { return std::string("handed over"); });
    case Ask::kReport:
      return outcome_of(rules::report_failure(facts, who, subject.failure, subject.detail),
                        [] { return std::string("reported"); });
    case Ask::kBegin:
      return outcome_of(rules::begin(facts, who), [](const rules::BeginAnswer& answer) {
        const auto hours = std::chrono::duration_cast<std::chrono::hours>(answer.left).count();
        return "begun " + operation_words(answer.operation) + " session " + std::to_string(*answer.begun.session) +
               " for " + std::to_string(hours) + " hours";
      });
  }
  CAPF_INVARIANT(false);
}

/// Decides as the service does, with an answer from what the database would say.
inline Outcome decide(Case subject) {
  const rules::Facts facts{subject.caller, subject.dossier, subject.policy, subject.withdrawn};
  if (!subject.begun && subject.ask == Ask::kConfirm && rules::was_confirmed(facts, subject.confirmed)) {
    return {"confirmed before"};
  }
  if (!subject.begun && subject.ask == Ask::kGiveUp && rules::was_given_up(facts)) return {"given up before"};
  const rules::Need need = need_of(subject);
  if (!subject.begun && rules::use_of_string(facts, need) != rules::StringUse::kNone) {
    subject.caller.string->limit = subject.limit;
  }
  const rules::Judgement who = subject.begun ? rules::go_on(facts, need, *subject.begun) : rules::identify(facts, need);
  if (!who) return refused_outcome(facts, subject, who.error());
  return decide_for(facts, *who, subject);
}

// The record, and a phone with its credentials.

inline Operation operation_record(std::int64_t id, OperationKind kind, AuthMode auth) {
  Operation operation{.id = id, .phone_id = kRulesPhone, .device = rules_device()};
  operation.kind = kind;
  operation.auth = auth;
  operation.created_by = "anna";
  operation.created_at = rules_now() - std::chrono::hours{1};
  operation.completes_by = rules_now() + kDefaultDeadline;
  return operation;
}

inline Certificate lsc_record(std::int64_t id) {
  const std::string name = "lsc-" + std::to_string(id);
  Certificate lsc;
  lsc.id = id;
  lsc.sha256 = named(name);
  lsc.serial = {0x4a, static_cast<std::uint8_t>(id)};
  lsc.issuer_id = 3;
  lsc.phone_id = kRulesPhone;
  lsc.device = rules_device().text();
  lsc.operation_id = 1;
  lsc.key_sha256 = named("key-" + std::to_string(id));
  lsc.der = octets_of(name);
  lsc.not_before = rules_now() - std::chrono::hours{24 * 100};
  lsc.not_after = rules_now() + std::chrono::hours{24 * 1000};
  lsc.confirmed_at = lsc.not_before;
  return lsc;
}

inline rules::Path<ca::JudgedMic> mic_path(const std::string& name) {
  ca::JudgedMic mic;
  mic.sha256 = named(name);
  mic.key = named("key-of-" + name);
  mic.model = "CP-8861";
  mic.serial_number = "SN";
  mic.issuers = {{named("root"), named("key-of-root")}};
  mic.holds_until = rules_now() + std::chrono::hours{24 * 3000};
  return {.judged = mic};
}

inline rules::Path<ca::JudgedLsc> foreign_path(const std::string& name) {
  return {.judged = ca::JudgedLsc{named(name),
                                  named("key-of-" + name),
                                  {{named("other-root"), named("key-of-other-root")}},
                                  rules_now() + std::chrono::hours{24 * 50}}};
}

inline rules::Path<ca::JudgedMic> no_mic(Reason reason = Reason::kCertificateUnknownIssuer) {
  return {.judged = fail(reason)};
}

inline rules::Shown shown_lsc(const std::string& name) {
  return {.leaf = named(name),
          .mic = no_mic(),
          .foreign = rules::Path<ca::JudgedLsc>{.judged = fail(Reason::kCertificateUnknownIssuer)}};
}
inline rules::Shown shown_mic(const std::string& name) { return {.leaf = named(name), .mic = mic_path(name)}; }
inline rules::Shown shown_foreign(const std::string& name) {
  return {.leaf = named(name), .mic = no_mic(), .foreign = foreign_path(name)};
}

/// A phone without anything pending, that brings nothing.
inline Case idle_phone() {
  Case subject;
  Phone phone{.id = kRulesPhone, .device = rules_device()};
  subject.dossier.now = rules_now();
  subject.dossier.postmaster_start = rules_postmaster_start();
  subject.dossier.phone = phone;
  subject.dossier.revision = 12;
  subject.dossier.trust_revision = 4;
  subject.dossier.active_issuer = 3;
  subject.dossier.issuers = {issuer_record(3)};
  subject.policy.null_string_networks = {Network::parse("192.0.2.0/24").value()};
  return subject;
}

inline void open(Case& subject, OperationKind kind, AuthMode auth) {
  subject.dossier.open = operation_record(7, kind, auth);
  subject.dossier.last = subject.dossier.open;
}

/// Puts the certificate on record as storage would.
inline void put_on_record(Case& subject, const Certificate& lsc) {
  Dossier& dossier = subject.dossier;
  dossier.shown.push_back(lsc);
  if (lsc.phone_id != kRulesPhone) return;
  const bool of_open = dossier.open && dossier.open->id == lsc.operation_id;
  if (!lsc.revoked_for_good() && (lsc.not_after >= dossier.now || of_open)) dossier.live.push_back(lsc);
  dossier.history.valid = dossier.history.valid || lsc.valid(dossier.now);
  dossier.history.ever_confirmed = dossier.history.ever_confirmed || lsc.confirmed_at.has_value();
}

}  // namespace capf::test
