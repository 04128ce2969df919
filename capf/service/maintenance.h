#pragma once

#include <optional>
#include <string>

#include "capf/domain/policy.h"
#include "capf/domain/store.h"

namespace capf::service {

/// What somebody must do now and then, one server at a time by lease: expires operations that were overdue for
/// kOverdueGrace, revokes what was superseded when its grace is over, drops old counts of wrong strings. Threads: one.
class Maintenance {
 public:
  /// @param holder a name of this server that no other one has.
  Maintenance(Database& database, const SitePolicy& policy, std::string holder)
      : database_(database), policy_(policy), holder_(std::move(holder)) {}
  struct Round {
    int expired = 0;  ///< operations
    int revoked = 0;  ///< superseded LSCs
  };
  /// One round; call it every minute. @return nothing where another server has the lease.
  Result<std::optional<Round>> run();

 private:
  Result<int> revoke_superseded();

  Database& database_;
  const SitePolicy& policy_;
  std::string holder_;
};

}  // namespace capf::service
