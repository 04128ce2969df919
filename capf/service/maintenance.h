#pragma once

#include <optional>
#include <string>

#include "capf/domain/database.h"
#include "capf/domain/mode_figures.h"
#include "capf/domain/policy.h"

namespace capf::service {

/// Does the recurring work, one server at a time by lease: expires operations that were overdue for
/// kOverdueGrace, revokes what was superseded when its grace is over, drops old counts of wrong strings, tells of LSCs
/// and MICs that have ended, counts phones by their modes, and writes down the moduli of RSA keys that were on record
/// before moduli were. Threads: one.
class Maintenance {
 public:
  /// @param holder a name of this server that no other one has.
  Maintenance(Database& database, const SitePolicy& policy, const Clock& clock, std::string holder)
      : database_(database), policy_(policy), clock_(clock), holder_(std::move(holder)) {}
  struct Round {
    int expired = 0;  ///< operations
    int revoked = 0;  ///< superseded LSCs
  };
  /// Takes the lease or keeps it; call it every kLeaseRenewal. @return whether this server has it. Errors: CLOCK_SKEW:
  /// another server is to have it.
  Result<bool> hold();
  /// At the end: another server may have the lease at once.
  void leave();
  /// One round; call it every minute. @return nothing where another server has the lease. Errors: CLOCK_SKEW, because
  /// operations that a wrong clock ends here would have ended for good.
  Result<std::optional<Round>> run();

 private:
  Result<int> end_overdue();
  Status tell_ends();
  Status forget_security_changes();
  Result<int> revoke_superseded();
  Status count_modes();
  Status learn_moduli();

  Database& database_;
  const SitePolicy& policy_;
  const Clock& clock_;
  std::string holder_;
  ModeFigures counted_;  ///< of the phones up to `counted_to_`, since the first one
  ModeCount::Place counted_to_;
};

}  // namespace capf::service
