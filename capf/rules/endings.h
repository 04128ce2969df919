#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "capf/domain/audit.h"
#include "capf/domain/change.h"

// The ends of operations and certificates, for phones and administrators alike.

namespace capf::rules {

/// A phone's records while its change is being made. Each function below adds its writes, and leaves `open` and `live`
/// as they are after them.
struct Draft {
  Actor actor;
  Phone phone;
  TimePoint now;
  std::optional<Operation> open{};
  std::vector<Certificate> live{};  ///< Dossier::live
  std::vector<Write> writes{};

  void add(Write write) { writes.push_back(std::move(write)); }
};

/// One line of the record that says it was done.
AuditEvent done(const Actor& actor, std::string action, std::string subject, std::string detail = {});
/// The same about an operation, which may be the one that the change adds.
AddEvent done(const Actor& actor, std::string action, const Operation& operation, std::string detail = {});

/// The same about an LSC that is revoked.
AuditEvent revoked(const Actor& actor, const Certificate& certificate, RevocationReason reason);

/// Revokes one LSC; one on hold, for good. Does nothing for one that is not live.
void revoke(Draft& draft, const Certificate& certificate, RevocationReason reason);
/// Revokes every live LSC of the phone. @return how many.
int revoke_all(Draft& draft, RevocationReason reason);
/// Revokes the unconfirmed certificates of the open operation.
void revoke_unconfirmed(Draft& draft, RevocationReason reason);
/// Revokes the unconfirmed certificates of the open operation but the last, which the phone may hold.
void revoke_earlier(Draft& draft);
/// Ends the open operation. Where it issued certificates and none was confirmed, all but the last are revoked: the
/// phone may hold the last. Does nothing where none is open.
void end_operation(Draft& draft, OperationState to, std::optional<Reason> reason, const std::string& message);
/// Cancels the open operation, if there is one.
void cancel_open(Draft& draft, const std::string& message);
/// The phone holds this LSC: it is confirmed, what it replaces is superseded, and the operation that issued it has
/// succeeded. Does nothing the second time. @param grace until what earlier operations issued is revoked; what is on
/// hold, and what the same operation issued, is revoked at once.
void settle(Draft& draft, const Certificate& certificate, std::chrono::hours grace);

}  // namespace capf::rules
