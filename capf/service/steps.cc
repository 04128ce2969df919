#include "capf/service/steps.h"

#include <utility>

#include "capf/ca/certificate.h"

namespace capf::service {

Actor device_actor(const Caller& caller) {
  return {ActorKind::kDevice, caller.device.text(), caller.address.to_string()};
}

AuditEvent done(const Actor& actor, std::string action, std::string subject, std::string detail) {
  AuditEvent event;
  event.actor = actor;
  event.action = std::move(action);
  event.subject = std::move(subject);
  event.detail = std::move(detail);
  return event;
}

AuditEvent done(const Actor& actor, std::string action, const Operation& operation, std::string detail) {
  AuditEvent event = done(actor, std::move(action), operation.device.text(), std::move(detail));
  event.operation_id = operation.id;
  return event;
}

Result<std::vector<Bytes>> issuer_chain(Transaction& tx, std::int64_t issuer_id) {
  std::vector<Bytes> chain;
  CAPF_LET(const auto issuer, tx.issuers().find(issuer_id));
  if (!issuer) return chain;
  chain.push_back(issuer->der);
  if (issuer->chain_der.empty()) return chain;
  CAPF_LET(const auto above, ca::split_certificates(issuer->chain_der));
  chain.insert(chain.end(), above.begin(), above.end());
  return chain;
}

Result<bool> revoke(Transaction& tx, const Actor& actor, const Certificate& certificate, RevocationReason reason) {
  CAPF_LET(const bool revoked, tx.certificates().revoke(certificate, reason));
  if (!revoked) return false;
  AuditEvent event = done(actor, "certificate.revoke", certificate.device,
                          "serial " + serial_text(certificate.serial) + ", " + std::string(to_string(reason)));
  event.operation_id = certificate.operation_id;
  CAPF_TRY(tx.audit().add(event));
  return true;
}

Result<int> revoke_all(Transaction& tx, const Actor& actor, const Phone& phone, RevocationReason reason) {
  CAPF_LET(const auto live, tx.certificates().live(phone.id));
  int count = 0;
  for (const Certificate& certificate : live) {
    CAPF_LET(const bool revoked, revoke(tx, actor, certificate, reason));
    if (revoked) ++count;
  }
  return count;
}

Result<bool> end_operation(Transaction& tx, const Actor& actor, const Operation& operation, OperationState to,
                           std::optional<Reason> reason, const std::string& message) {
  CAPF_LET(const bool ended, tx.operations().finish(operation.id, to, reason, message));
  if (!ended) return false;
  if (to != OperationState::kSucceeded && operation.certificates > 0) {
    CAPF_LET(const auto live, tx.certificates().live(operation.phone_id));
    const Certificate* last = nullptr;
    for (const Certificate& certificate : live) {
      if (certificate.operation_id != operation.id || certificate.confirmed_at) continue;
      if (last != nullptr) CAPF_TRY(revoke(tx, actor, *last, RevocationReason::kSuperseded));
      last = &certificate;
    }
  }
  AuditEvent event = done(actor, "operation." + std::string(to_string(to)), operation, message);
  event.reason = reason;
  CAPF_TRY(tx.audit().add(event));
  return true;
}

Result<std::optional<Operation>> cancel_open(Transaction& tx, const Actor& actor, const Phone& phone,
                                             const std::string& message) {
  CAPF_LET(std::optional<Operation> open, tx.operations().find_open(phone.id));
  if (open) CAPF_TRY(end_operation(tx, actor, *open, OperationState::kCancelled, std::nullopt, message));
  return open;
}

Status settle(Transaction& tx, const Actor& actor, const Phone& phone, const Certificate& certificate,
              const std::optional<Operation>& open) {
  CAPF_LET(const bool first, tx.certificates().confirm(certificate.id));
  if (first) {
    AuditEvent event =
        done(actor, "certificate.confirm", phone.device.text(), "serial " + serial_text(certificate.serial));
    event.operation_id = certificate.operation_id;
    CAPF_TRY(tx.audit().add(event));
    CAPF_LET(const auto live, tx.certificates().live(phone.id));
    for (const Certificate& other : live) {
      // What a later operation issued meanwhile may be on its way to the phone.
      const bool replaced = other.id < certificate.id || other.operation_id == certificate.operation_id;
      if (other.id != certificate.id && replaced) {
        CAPF_TRY(revoke(tx, actor, other, RevocationReason::kSuperseded));
      }
    }
  }
  if (open && open->id == certificate.operation_id) {
    CAPF_TRY(end_operation(tx, actor, *open, OperationState::kSucceeded, std::nullopt,
                           "the phone has stored its certificate"));
  }
  return {};
}

}  // namespace capf::service
