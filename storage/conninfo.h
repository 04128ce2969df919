#pragma once

#include <chrono>
#include <string>

#include "capf/base/error.h"

namespace capf::storage {

/// A connection string as libpq takes it, or a URI, with which the database is reached safely: over TCP with
/// sslmode=verify-full only, and not encrypted by GSSAPI instead, else INSECURE_DATABASE; Unix sockets as they are.
/// What the string does not say counts as libpq would take it from the environment. Service files are refused.
/// Errors: INVALID_CONFIGURATION, which never shows the string: it may hold a password.
Status check_conninfo(const std::string& conninfo);

/// How long the server lets one of our sessions be.
struct SessionLimits {
  std::chrono::milliseconds statement{15'000};
  std::chrono::milliseconds lock{5'000};  ///< waiting for a row's lock
  std::chrono::milliseconds idle_in_transaction{20'000};
};

/// `conninfo` after check_conninfo(), with limits, keepalives and the primary as target set where it does not say
/// otherwise, and with the settings on which the form of answers depends.
Result<std::string> session_conninfo(const std::string& conninfo, const SessionLimits& limits);

/// Whether a session may be one with a standby, by target_session_attrs.
/// @param conninfo as session_conninfo() makes it.
bool takes_standby(const std::string& conninfo);

/// `conninfo` with another database's name.
Result<std::string> with_database(const std::string& conninfo, const std::string& name);

}  // namespace capf::storage
