#include "capf/rules/endings.h"

#include <algorithm>
#include <utility>

#include "capf/domain/serial.h"

namespace capf::rules {
namespace {

bool unconfirmed_of(const Certificate& certificate, const Operation& operation) {
  return certificate.operation_id == operation.id && !certificate.confirmed_at;
}

AuditEvent about(const Actor& actor, const std::string& action, const Certificate& certificate, std::string detail) {
  AuditEvent event = done(actor, action, certificate.device, std::move(detail));
  event.operation_id = certificate.operation_id;
  return event;
}

std::string serial_words(const Certificate& certificate) { return "serial " + serial_text(certificate.serial); }

Certificate* find_live(Draft& draft, std::int64_t id) {
  const auto found = std::find_if(draft.live.begin(), draft.live.end(),
                                  [id](const Certificate& certificate) { return certificate.id == id; });
  return found == draft.live.end() ? nullptr : &*found;
}

/// The live ones as they are now, to be changed one by one.
std::vector<Certificate> unexpired(const Draft& draft) {
  std::vector<Certificate> found;
  std::copy_if(draft.live.begin(), draft.live.end(), std::back_inserter(found),
               [&](const Certificate& certificate) { return certificate.not_after >= draft.now; });
  return found;
}

void supersede(Draft& draft, const Certificate& certificate) {
  if (certificate.superseded_at || certificate.revoked_at) return;
  draft.add(SupersedeCertificate{certificate.id});
  draft.add(AddEvent{about(draft.actor, "certificate.supersede", certificate, serial_words(certificate))});
  if (Certificate* const record = find_live(draft, certificate.id)) record->superseded_at = draft.now;
}

void confirm(Draft& draft, const Certificate& certificate) {
  draft.add(ConfirmCertificate{certificate.id});
  draft.add(AddEvent{about(draft.actor, "certificate.confirm", certificate, serial_words(certificate))});
  if (Certificate* const record = find_live(draft, certificate.id)) record->confirmed_at = draft.now;
}

void replace(Draft& draft, const Certificate& certificate, std::chrono::hours grace) {
  for (const Certificate& other : unexpired(draft)) {
    const bool sibling = other.operation_id == certificate.operation_id;
    // The phone may be about to receive what a later operation has issued.
    if (other.id == certificate.id || (other.id > certificate.id && !sibling)) continue;
    if (grace.count() > 0 && !sibling && !other.on_hold()) {
      supersede(draft, other);
    } else {
      revoke(draft, other, RevocationReason::kSuperseded);
    }
  }
}

void revoke_all_but_last(Draft& draft, const Operation& operation) {
  std::optional<Certificate> last;
  for (const Certificate& certificate : unexpired(draft)) {
    if (!unconfirmed_of(certificate, operation)) continue;
    if (last) revoke(draft, *last, RevocationReason::kSuperseded);
    last = certificate;
  }
}

/// An act of an administrator has one name, done or refused.
std::string ending_word(OperationState to) {
  return to == OperationState::kCancelled ? "cancel" : std::string(to_string(to));
}

}  // namespace

AuditEvent done(const Actor& actor, std::string action, std::string subject, std::string detail) {
  AuditEvent event;
  event.actor = actor;
  event.action = std::move(action);
  event.subject = std::move(subject);
  event.detail = std::move(detail);
  return event;
}

AddEvent done(const Actor& actor, std::string action, const Operation& operation, std::string detail) {
  AddEvent added{done(actor, std::move(action), operation.device.text(), std::move(detail))};
  added.event.operation_id = operation.id;
  added.of_added = operation.id == kAddedOperation;
  return added;
}

AuditEvent revoked(const Actor& actor, const Certificate& certificate, RevocationReason reason) {
  return about(actor, "certificate.revoke", certificate,
               serial_words(certificate) + ", " + std::string(to_string(reason)));
}

void revoke(Draft& draft, const Certificate& certificate, RevocationReason reason) {
  Certificate* const record = find_live(draft, certificate.id);
  if (record == nullptr || (record->revoked_at && reason == RevocationReason::kCertificateHold)) return;
  draft.add(RevokeCertificate{certificate.id, reason});
  draft.add(AddEvent{revoked(draft.actor, certificate, reason)});
  record->revoked_at = draft.now;
  record->revocation_reason = reason;
  std::erase_if(draft.live, [](const Certificate& each) { return each.revoked_for_good(); });
}

int revoke_all(Draft& draft, RevocationReason reason) {
  const std::vector<Certificate> all = unexpired(draft);
  for (const Certificate& certificate : all) revoke(draft, certificate, reason);
  return static_cast<int>(all.size());
}

void revoke_earlier(Draft& draft) {
  if (draft.open) revoke_all_but_last(draft, *draft.open);
}

void revoke_unconfirmed(Draft& draft, RevocationReason reason) {
  if (!draft.open) return;
  for (const Certificate& certificate : unexpired(draft)) {
    if (unconfirmed_of(certificate, *draft.open)) revoke(draft, certificate, reason);
  }
}

void end_operation(Draft& draft, OperationState to, std::optional<Reason> reason, const std::string& message) {
  if (!draft.open) return;
  const Operation operation = *std::exchange(draft.open, std::nullopt);
  draft.add(EndOperation{operation.id, to, reason, message});
  if (to != OperationState::kSucceeded) revoke_all_but_last(draft, operation);
  AddEvent ended = done(draft.actor, "operation." + ending_word(to), operation, message);
  ended.event.reason = reason;
  draft.add(std::move(ended));
}

void cancel_open(Draft& draft, const std::string& message) {
  end_operation(draft, OperationState::kCancelled, std::nullopt, message);
}

void settle(Draft& draft, const Certificate& certificate, std::chrono::hours grace) {
  if (!certificate.confirmed_at) {
    confirm(draft, certificate);
    replace(draft, certificate, grace);
  }
  if (draft.open && draft.open->id == certificate.operation_id) {
    end_operation(draft, OperationState::kSucceeded, std::nullopt, "the phone has stored its certificate");
  }
}

}  // namespace capf::rules
