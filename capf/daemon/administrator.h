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
  std::optional<std::string> passphrase;  ///< where it is, in place of what the configuration says
};

/// Appoints an administrator on the machine, with the site CA's key and without another administrator: the way back
/// where nobody's certificate is good any more. On record as done by `capfd administrator add`. A server that runs goes
/// on, and takes the certificate at once.
///
/// The rules are those of a server that is asked for the same: CLOCK_SKEW and DATABASE_READ_ONLY refuse it. A database
/// that is behind (DATABASE_BEHIND) does not, because `capfctl site recover` needs an administrator.
/// @return words for people. Errors: NO_SITE, INVALID_NAME, ADMINISTRATOR_EXISTS, INVALID_CONFIGURATION where somebody
/// else owns the keys or the database is another site's, WRONG_PASSPHRASE, those of the database and of signing.
Result<std::string> add_administrator(const Configuration& configuration, const AdministratorOptions& options,
                                      const Clock& clock, Botan::RandomNumberGenerator& random);

}  // namespace capf::daemon
