#include "capf/service/steps.h"

#include <utility>

#include "capf/ca/certificate.h"
#include "capf/domain/policy.h"

namespace capf::service {
namespace {

Status supersede(Transaction& tx, const Actor& actor, const Certificate& certificate) {
  CAPF_LET(const bool superseded, tx.certificates().supersede(certificate.id));
  if (!superseded) return {};
  AuditEvent event =
      done(actor, "certificate.supersede", certificate.device, "serial " + serial_text(certificate.serial));
  event.operation_id = certificate.operation_id;
  return tx.audit().add(event);
}

}  // namespace

Status check_clock(TimePoint now, const Clock& clock) {
  const auto skew = now - clock.now();
  if (skew > kLargestClockSkew || skew < -kLargestClockSkew) return fail(Reason::kClockSkew);
  const auto later = signed_of_later(now, clock);
  if (later) return fail(Reason::kClockSkew, *later);
  return {};
}

std::optional<std::string> signed_of_later(TimePoint now, const Clock& clock) {
  const TimeBound bound = clock.bound();
  if (now >= bound.at - kLargestClockSkew) return std::nullopt;
  return "the clocks of the server and of its database say " + to_rfc3339(now) + ", and " + bound.what + " is of " +
         to_rfc3339(bound.at);
}

Status check_takes_back(KeyOwner owner) {
  switch (owner) {
    case KeyOwner::kPhone:
    case KeyOwner::kMic:
    case KeyOwner::kBlocked: return {};
    case KeyOwner::kIssuer:
      return fail(Reason::kKeyReserved,
                  "the key is a trust anchor's or an issuer's: 'capfctl trust remove' and 'capfctl issuer retire' end "
                  "what it vouches for");
    case KeyOwner::kSite:
      return fail(Reason::kKeyReserved,
                  "the key is one of the site's own servers: 'capfd certificate renew' and "
                  "'capfctl wire-certificate' put another one in its place");
    case KeyOwner::kAdministrator:
      return fail(Reason::kKeyReserved,
                  "the key is an administrator's: 'capfctl administrator disable' refuses its certificate");
  }
  CAPF_INVARIANT(false);
}

Result<std::string> name_in_other_case(Transaction& tx, const DeviceName& device) {
  CAPF_LET(const auto other, tx.phones().find_other_case(device));
  return other ? ", but there is " + other->text() + ": case counts" : std::string();
}

tl::unexpected<Error> unknown_device(Transaction& tx, const DeviceName& device, const std::string& before) {
  auto other = name_in_other_case(tx, device);
  if (!other) return tl::unexpected<Error>(std::move(other.error()));
  return fail(Reason::kUnknownDevice, before + "there is no device " + device.text() + *other);
}

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

AuditEvent revoked(const Actor& actor, const RevocableLsc& lsc, RevocationReason reason) {
  AuditEvent event = done(actor, "certificate.revoke", lsc.device,
                          "serial " + serial_text(lsc.serial) + ", " + std::string(to_string(reason)));
  event.operation_id = lsc.operation_id;
  return event;
}

RevocableLsc revocable(const Certificate& certificate) {
  return {certificate.id,     certificate.phone_id,     certificate.device,
          certificate.serial, certificate.operation_id, certificate.key_sha256};
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
  CAPF_TRY(tx.audit().add(service::revoked(actor, revocable(certificate), reason)));
  return true;
}

Status revoke(Transaction& tx, const Actor& actor, std::span<const RevocableLsc> lscs, RevocationReason reason) {
  std::vector<std::int64_t> ids;
  std::vector<AuditEvent> events;
  for (const RevocableLsc& lsc : lscs) {
    ids.push_back(lsc.id);
    events.push_back(service::revoked(actor, lsc, reason));
  }
  CAPF_LET(const int revoked, tx.certificates().revoke_all(ids, reason));
  if (static_cast<std::size_t>(revoked) != lscs.size()) return fail(Reason::kChangedMeanwhile);
  return tx.audit().add_all(events);
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
  // An act of an administrator has one name, done or refused.
  const std::string word = to == OperationState::kCancelled ? "cancel" : std::string(to_string(to));
  AuditEvent event = done(actor, "operation." + word, operation, message);
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

Result<int> cancel_all(Transaction& tx, const Actor& actor, std::span<const std::int64_t> phone_ids,
                       const std::string& message) {
  CAPF_LET(const auto cancelled, tx.operations().cancel_all(phone_ids, message));
  std::vector<AuditEvent> events;
  for (const EndedOperation& operation : cancelled) {
    events.push_back(done(actor, "operation.cancel", operation.device, message));
    events.back().operation_id = operation.id;
  }
  CAPF_TRY(tx.audit().add_all(events));
  return static_cast<int>(cancelled.size());
}

Result<int> block_compromised(Transaction& tx, const Actor& actor, std::span<const Sha256> keys,
                              std::span<const std::int64_t> phone_ids) {
  CAPF_TRY(tx.keys().mark_compromised(keys));
  CAPF_TRY(cancel_all(tx, actor, phone_ids, "the phone's key was revoked as compromised"));
  CAPF_LET(const auto blocked, tx.phones().block_all(phone_ids));
  std::vector<AuditEvent> events;
  for (const std::string& device : blocked) {
    events.push_back(done(actor, "phone.block", device, "its key was revoked as compromised"));
  }
  CAPF_TRY(tx.audit().add_all(events));
  return static_cast<int>(blocked.size());
}

Status settle(Transaction& tx, const Actor& actor, const Phone& phone, const Certificate& certificate,
              const std::optional<Operation>& open, std::chrono::hours grace) {
  CAPF_LET(const bool first, tx.certificates().confirm(certificate.id));
  if (first) {
    AuditEvent event =
        done(actor, "certificate.confirm", phone.device.text(), "serial " + serial_text(certificate.serial));
    event.operation_id = certificate.operation_id;
    CAPF_TRY(tx.audit().add(event));
    CAPF_LET(const auto live, tx.certificates().live(phone.id));
    for (const Certificate& other : live) {
      const bool sibling = other.operation_id == certificate.operation_id;
      // What a later operation issued meanwhile may be on its way to the phone.
      if (other.id == certificate.id || (other.id > certificate.id && !sibling)) continue;
      if (grace.count() > 0 && !sibling && !other.on_hold()) {
        CAPF_TRY(supersede(tx, actor, other));
      } else {
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
