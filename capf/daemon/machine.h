#pragma once

#include <memory>
#include <optional>
#include <string>

#include "capf/daemon/configuration.h"
#include "capf/daemon/site.h"
#include "capf/domain/database.h"
#include "capf/service/siteclock.h"

namespace capf::daemon {

/// A site as a command on its machine works with it: nobody else changes its keys meanwhile, and a server that runs
/// goes on.
struct Machine {
  SiteFiles files;
  FolderLock lock;
  Secret passphrase;
  Identity site_ca;
  std::unique_ptr<Database> database;
  std::unique_ptr<service::SiteClock> clock;  ///< bounded as a server's is, by the last seal

  /// @param passphrase where it is, in place of what the configuration says
  /// @param clock outlives the machine.
  /// Errors: NO_SITE, INVALID_CONFIGURATION where somebody else owns the keys, another command works with them or the
  /// database is another site's, WRONG_PASSPHRASE, those of the database.
  static Result<Machine> open(const Configuration& configuration, const std::optional<std::string>& passphrase,
                              const Clock& clock);
};

}  // namespace capf::daemon
