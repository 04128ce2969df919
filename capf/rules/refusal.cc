#include "capf/rules/refusal.h"

#include <string>

#include "capf/rules/endings.h"
#include "capf/rules/identify.h"

namespace capf::rules {
namespace {

Change written_down(const Facts& facts, const Begun& begun, OperationKind kind, const Error& error) {
  const Caller& caller = facts.caller;
  AuditEvent event = done(actor_of(caller), "phone.request", begun.device.text(), error.message);
  event.operation_id = begun.operation_id.value_or(0);
  event.outcome = "refused";
  event.reason = error.true_reason();
  Attempt attempt{facts.dossier.now,
                  caller.address.to_string(),
                  std::string(to_string(caller.transport)),
                  kind,
                  error.true_reason(),
                  error.message};
  return {basis_of(facts), {RecordAttempt{std::move(attempt)}, AddEvent{.event = std::move(event), .repeated = true}}};
}

bool on_record(const Facts& facts, const Begun& begun) {
  return facts.dossier.phone && facts.dossier.phone->id == begun.phone_id;
}

}  // namespace

Error Refusal::answer() const {
  if (notice == Notice::kNone && error.reason != Reason::kNoPendingOperation) return error;
  if (error.reason == Reason::kOperationEnded || error.reason == Reason::kSessionReplaced) return error;
  return {Reason::kAuthenticationFailed, std::string(words(Reason::kAuthenticationFailed)), error.message,
          error.reason};
}

std::optional<Change> record_refusal(const Facts& facts, const Begun& begun, OperationKind kind, const Error& error) {
  const bool idle = error.reason == Reason::kNoPendingOperation && facts.caller.transport == Transport::kWire;
  if (idle || may_be_repeated(error.code()) || !on_record(facts, begun)) return std::nullopt;
  return written_down(facts, begun, kind, error);
}

std::optional<Change> broke_off(const Facts& facts, const Begun& begun, const Error& why) {
  if (!on_record(facts, begun)) return std::nullopt;
  return written_down(facts, begun, begun.kind, why);
}

}  // namespace capf::rules
