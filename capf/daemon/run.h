#pragma once

#include <optional>

#include "capf/daemon/configuration.h"
#include "capf/daemon/signals.h"

namespace capf::daemon {

/// Brings the schema of the database up to this program's, as the owner. Waits for a database that is not there yet.
Status migrate(const Configuration& configuration, Signals& signals);

/// Serves until a signal says stop. Prints the ready line to standard output when every listener is up.
/// @param passphrase in place of the configuration's source of it.
Status run(const Configuration& configuration, const std::optional<std::string>& passphrase, Signals& signals);

}  // namespace capf::daemon
