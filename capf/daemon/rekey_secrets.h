#pragma once

#include <optional>
#include <string>

#include <botan/rng.h>

#include "capf/base/time.h"
#include "capf/daemon/configuration.h"

namespace capf::daemon {

/// Encrypts every secret of the database under a new key. Servers that run go on: they read both generations. It may be
/// given again after an interruption, and goes on there. @param passphrase where it is, in place of what the
/// configuration says. @return words for people. Errors: SECRETS_KEY_NOT_READY where a server that runs does not have
/// the new key yet, those of Machine::open().
Result<std::string> rekey_secrets(const Configuration& configuration, const std::optional<std::string>& passphrase,
                                  const Clock& clock, Botan::RandomNumberGenerator& random);

}  // namespace capf::daemon
