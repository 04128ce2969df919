#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "capf/base/error.h"
#include "capf/domain/administrator.h"
#include "capf/domain/operation.h"

namespace capf::rpc {

/// The callers of a method: phones (authenticated by the service layer), or administrators with one of some roles.
enum class Callers : std::uint8_t {
  kPhones = 1,
  kAdmin = 2,
  kOperator = 4,
  kAuditor = 8,
  kMonitor = 16,
};
constexpr Callers operator|(Callers a, Callers b) {
  return static_cast<Callers>(static_cast<std::uint8_t>(a) | static_cast<std::uint8_t>(b));
}
constexpr bool includes(Callers callers, Callers one) {
  return (static_cast<std::uint8_t>(callers) & static_cast<std::uint8_t>(one)) != 0;
}

/// kTakesBack also changes something, but is safe while a clock is wrong.
enum class Effect : std::uint8_t { kReads, kTakesBack, kChanges };

struct Access {
  std::string_view method;  ///< as in the call's path: "capf.v1.AdminService/AddPhones"
  Callers callers;
  std::string_view action;  ///< as in the audit record: "phone.add"
  Effect effect;
};

inline constexpr Callers kAuditors = Callers::kAdmin | Callers::kAuditor;  ///< read what only admins change
inline constexpr Callers kOperators =
    Callers::kAdmin | Callers::kOperator;                            ///< change phones, operations, certificates
inline constexpr Callers kReaders = kOperators | Callers::kAuditor;  ///< read them
inline constexpr Callers kEveryRole = kReaders | Callers::kMonitor;

/// Method x role: the one table. A method that is not in it is refused.
inline constexpr std::array kAccessTable{
    Access{"capf.v1.PhoneService/GetPendingOperation", Callers::kPhones, "operation.pending", Effect::kReads},
    Access{"capf.v1.PhoneService/IssueCertificate", Callers::kPhones, "certificate.issue", Effect::kChanges},
    Access{"capf.v1.PhoneService/ConfirmCertificate", Callers::kPhones, "certificate.confirm", Effect::kChanges},
    Access{"capf.v1.PhoneService/DeleteCertificate", Callers::kPhones, "certificate.delete", Effect::kChanges},
    Access{"capf.v1.PhoneService/HandOverCertificates", Callers::kPhones, "certificate.hand_over", Effect::kChanges},
    Access{"capf.v1.PhoneService/ReportFailure", Callers::kPhones, "operation.report_failure", Effect::kChanges},

    Access{"capf.v1.AdminService/AddPhones", kOperators, "phone.add", Effect::kChanges},
    Access{"capf.v1.AdminService/ListPhones", kReaders, "phone.list", Effect::kReads},
    Access{"capf.v1.AdminService/GetPhone", kReaders, "phone.show", Effect::kReads},
    Access{"capf.v1.AdminService/RemovePhone", kOperators, "phone.remove", Effect::kChanges},
    Access{"capf.v1.AdminService/BlockPhone", kOperators, "phone.block", Effect::kTakesBack},
    Access{"capf.v1.AdminService/UnblockPhone", kOperators, "phone.unblock", Effect::kChanges},
    Access{"capf.v1.AdminService/UnlockPhone", kOperators, "phone.unlock", Effect::kChanges},
    Access{"capf.v1.AdminService/TracePhone", kOperators, "phone.trace", Effect::kChanges},
    Access{"capf.v1.AdminService/ListLimitedAddresses", kReaders, "address.list", Effect::kReads},
    Access{"capf.v1.AdminService/UnlockAddress", kOperators, "address.unlock", Effect::kChanges},

    Access{"capf.v1.AdminService/ScheduleOperations", kOperators, "operation.schedule", Effect::kChanges},
    Access{"capf.v1.AdminService/ListOperations", kReaders, "operation.list", Effect::kReads},
    Access{"capf.v1.AdminService/GetOperation", kReaders, "operation.show", Effect::kReads},
    Access{"capf.v1.AdminService/CancelOperation", kOperators, "operation.cancel", Effect::kTakesBack},

    Access{"capf.v1.AdminService/ListCertificates", kReaders, "certificate.list", Effect::kReads},
    Access{"capf.v1.AdminService/GetCertificate", kReaders, "certificate.show", Effect::kReads},
    Access{"capf.v1.AdminService/RevokeCertificates", kOperators, "certificate.revoke", Effect::kChanges},
    Access{"capf.v1.AdminService/SelectCertificates", kReaders, "certificate.select", Effect::kReads},
    Access{"capf.v1.AdminService/RevokeSelection", kOperators, "certificate.revoke_selection", Effect::kChanges},
    Access{"capf.v1.AdminService/RevokeKey", kOperators, "certificate.revoke_key", Effect::kChanges},
    Access{"capf.v1.AdminService/ReleaseCertificates", kOperators, "certificate.release", Effect::kChanges},
    Access{"capf.v1.AdminService/BlockCertificates", kOperators, "certificate.block", Effect::kTakesBack},
    Access{"capf.v1.AdminService/UnblockCertificate", kOperators, "certificate.unblock", Effect::kChanges},
    Access{"capf.v1.AdminService/ListBlockedCertificates", kReaders, "certificate.list_blocked", Effect::kReads},
    Access{"capf.v1.AdminService/VerifyCertificates", kAuditors, "certificate.verify", Effect::kReads},

    Access{"capf.v1.AdminService/ListIssuers", kReaders, "issuer.list", Effect::kReads},
    Access{"capf.v1.AdminService/GetIssuer", kReaders, "issuer.show", Effect::kReads},
    Access{"capf.v1.AdminService/AddIssuer", Callers::kAdmin, "issuer.add", Effect::kChanges},
    Access{"capf.v1.AdminService/ActivateIssuer", Callers::kAdmin, "issuer.activate", Effect::kChanges},
    Access{"capf.v1.AdminService/RetireIssuer", Callers::kAdmin, "issuer.retire", Effect::kChanges},
    Access{"capf.v1.AdminService/AddAnchors", Callers::kAdmin, "anchor.add", Effect::kChanges},
    Access{"capf.v1.AdminService/ListAnchors", kAuditors, "anchor.list", Effect::kReads},
    Access{"capf.v1.AdminService/ListTrustCandidates", kReaders, "anchor.list_candidates", Effect::kReads},
    Access{"capf.v1.AdminService/RemoveAnchor", Callers::kAdmin, "anchor.remove", Effect::kChanges},

    Access{"capf.v1.AdminService/AddAdministrator", Callers::kAdmin, "administrator.add", Effect::kChanges},
    Access{"capf.v1.AdminService/ListAdministrators", kAuditors, "administrator.list", Effect::kReads},
    Access{"capf.v1.AdminService/DisableAdministrator", Callers::kAdmin, "administrator.disable", Effect::kTakesBack},

    Access{"capf.v1.AdminService/GetSite", kAuditors, "site.show", Effect::kReads},
    Access{"capf.v1.AdminService/RecoverSite", Callers::kAdmin, "site.recover", Effect::kTakesBack},

    Access{"capf.v1.AdminService/ListAudit", kAuditors, "audit.list", Effect::kReads},
    Access{"capf.v1.AdminService/ListSeals", kAuditors, "audit.verify", Effect::kReads},

    Access{"capf.v1.MonitorService/ListPending", kEveryRole, "monitor.pending", Effect::kReads},
    Access{"capf.v1.MonitorService/GetSummary", kEveryRole, "monitor.summary", Effect::kReads},
    Access{"capf.v1.MonitorService/GetReadiness", kEveryRole, "monitor.readiness", Effect::kReads},
    Access{"capf.v1.MonitorService/WatchOperations", kEveryRole, "monitor.watch", Effect::kReads},

    Access{"grpc.health.v1.Health/Check", kEveryRole, "health.check", Effect::kReads},
    Access{"grpc.health.v1.Health/Watch", kEveryRole, "health.watch", Effect::kReads},

    Access{"grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", kEveryRole | Callers::kPhones,
           "reflection.ask", Effect::kReads},
};

/// Nothing for a method that is not in the table.
constexpr const Access* find_access(std::string_view method) {
  for (const Access& row : kAccessTable) {
    if (row.method == method) return &row;
  }
  return nullptr;
}

/// A method that is in the table, as the compiler checks.
class Method {
 public:
  /// @param service with the slash; @param function of the same name as the method: __func__
  consteval Method(std::string_view service, std::string_view function) {
    for (std::size_t i = 0; i < kAccessTable.size(); ++i) {
      const std::string_view method = kAccessTable[i].method;
      if (method.starts_with(service) && method.substr(service.size()) == function) row_ = i;
    }
    if (row_ == kAccessTable.size()) throw "not in kAccessTable";
  }
  const Access& access() const { return kAccessTable[row_]; }
  /// "AdminService/AddPhones"
  std::string_view short_name() const {
    const std::string_view name = access().method;
    return name.substr(name.rfind('.') + 1);
  }

 private:
  // No pointer, because g++ 12 with sanitizers does not accept one as a constant.
  std::size_t row_ = kAccessTable.size();
};

/// ROLE_DENIED unless the table lets the role call the method.
Status may_call(std::string_view method, Role role);
/// The state of the site at the time of a change.
struct Standing {
  Status clock;             ///< CLOCK_SKEW where a clock may be wrong
  Status level;             ///< DATABASE_BEHIND where the database was set back
  bool on_machine = false;  ///< the caller knows the recovery word in this server's state directory
};
/// While a clock is wrong, only methods that take something back may change the site. A restored database may name
/// administrators who were dismissed since; so while it is behind, a change also needs access to the machine.
/// Errors: RECOVERY_WORD_REQUIRED, CLOCK_SKEW.
Status may_change(Effect effect, const Standing& state);
/// Only the role admin may schedule with null string. Errors: ROLE_DENIED.
Status may_schedule(Role role, AuthMode auth);

}  // namespace capf::rpc
