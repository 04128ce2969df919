#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <botan/rng.h>

#include "capf/base/time.h"
#include "capf/daemon/configuration.h"
#include "capf/domain/administrator.h"

namespace capf::daemon {

struct AdministratorOptions {
  std::string name;
  Role role = Role::kAdmin;
  std::filesystem::path out;              ///< folder for its files; empty: admin in the state directory
  std::optional<std::string> passphrase;  ///< its source, instead of the configuration's
};

/// Appoints an administrator on the machine, with the site CA's key and without another administrator: for a site whose
/// administrators' certificates have all expired or been lost. Recorded as done by `capfd administrator add`. A running
/// server continues, and accepts the certificate at once.
///
/// CLOCK_SKEW and DATABASE_READ_ONLY refuse it, as in a server. A database that is behind (DATABASE_BEHIND) does not,
/// because `capfctl site recover` needs an administrator.
/// @return words for people. Errors: NO_SITE, INVALID_NAME, ADMINISTRATOR_EXISTS, INVALID_CONFIGURATION where another
/// user owns the keys or the database is another site's, WRONG_PASSPHRASE, those of the database and of signing.
Result<std::string> add_administrator(const Configuration& configuration, const AdministratorOptions& options,
                                      const Clock& clock, Botan::RandomNumberGenerator& random);

}  // namespace capf::daemon
