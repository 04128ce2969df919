#pragma once

#include <optional>

#include "capf/daemon/configuration.h"
#include "capf/daemon/signals.h"

namespace capf::daemon {

/// Brings the schema of the database up to this program's, as the owner. Waits for a database that cannot be reached
/// yet.
Status migrate(const Configuration& configuration, Signals& signals);

/// Serves until a signal to stop. Prints the ready line to standard output when every listener is up.
/// @param passphrase its source, instead of the configuration's.
Status run(const Configuration& configuration, const std::optional<std::string>& passphrase, Signals& signals);

}  // namespace capf::daemon
