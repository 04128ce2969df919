#include "capf/rules/fail.h"

#include <string_view>

#include "capf/rules/opening.h"

namespace capf::rules {
namespace {

/// The end of an operation that the phone could not do.
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

/// @return whether the operation goes on: the phone may try again.
bool count_failure(Opening& opening, const std::string& detail) {
  Operation& operation = *opening.draft.open;
  ++operation.failures;
  opening.draft.add(CountFailure{operation.id});
  opening.draft.add(done(opening.draft.actor, "operation.key_generation_failed", operation,
                         "time " + std::to_string(operation.failures) + (detail.empty() ? "" : ", " + detail)));
  return operation.failures < kLargestKeyGenerationFailures;
}

/// A phone whose renewals fail begins again by itself; after two in a row it waits for an administrator.
void stop_after_two(Opening& opening, const Operation& operation) {
  const Dossier& dossier = opening.facts.dossier;
  const bool newest = dossier.last && dossier.last->id == operation.id;
  const std::optional<Operation>& before = newest ? dossier.before : dossier.last;
  if (!operation.self_service) return;
  if (!before || !before->self_service || before->state != OperationState::kFailed) return;
  opening.draft.add(StopSelfService{});
  opening.draft.add(done(opening.draft.actor, "phone.stop_renewal", operation, "two renewals in a row have failed"));
}

/// A dialogue has begun; a phone that calls begins by that, late or not.
Status begin_failure(Opening& opening) {
  if (opening.who.session) return check_goes_on(opening);
  if (!opening.draft.open) return capf::fail(Reason::kNoPendingOperation);
  start(opening);
  return {};
}

}  // namespace

Decision<void> report_failure(const Facts& facts, const Identity& identity, PhoneFailure failure,
                              const std::string& detail) {
  const OperationKind kind = identity.session ? identity.operation->kind : OperationKind::kInstall;
  Opening opening = open_change(facts, identity);
  if (Status ready = begin_failure(opening); !ready) return refused<void>(facts, identity, kind, ready.error());
  const bool again = failure == PhoneFailure::kKeyGeneration && count_failure(opening, detail);
  if (again) return {Status(), change_of(std::move(opening))};

  const Operation operation = *opening.draft.open;
  const FailureRule rule = rule_of(failure);
  // The phone says that it has not stored them.
  if (failure == PhoneFailure::kStore) revoke_unconfirmed(opening.draft, RevocationReason::kCessationOfOperation);
  end_operation(opening.draft, OperationState::kFailed, rule.reason,
                std::string(rule.words) + (detail.empty() ? "" : ": " + detail));
  stop_after_two(opening, operation);
  return {Status(), change_of(std::move(opening))};
}

}  // namespace capf::rules
