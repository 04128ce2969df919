#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "capf/base/error.h"

namespace capf::storage {

/// A connection string as libpq takes it, or a URI, with which the database is reached safely: over TCP with
/// sslmode=verify-full only, and not encrypted by GSSAPI instead, else INSECURE_DATABASE; Unix sockets as they are.
/// Options that the string lacks count as libpq would take them from the environment. Service files are refused.
/// Errors: INVALID_CONFIGURATION, which never shows the string: it may hold a password.
Status check_conninfo(const std::string& conninfo);

/// The time limits of a session in PostgreSQL.
struct SessionLimits {
  std::chrono::milliseconds statement{15'000};
  std::chrono::milliseconds lock{5'000};  ///< waiting for a row's lock
  std::chrono::milliseconds idle_in_transaction{20'000};
  /// Plans are made once for any values, by lookups in indexes: for statements that join many tables with arrays, whose
  /// planning takes longer than their work.
  bool keeps_plans = false;
};

/// How to begin a session.
struct LinkSettings {
  std::string conninfo;
  /// SQL that makes the settings of the session once connected; not by `options` when connecting, because poolers
  /// refuse that. One row, whose last three columns are whether triggers run, whether this is a standby, and the
  /// session's backend.
  std::string statements;
};

/// `conninfo` after check_conninfo(), with keepalives and the primary as target where it does not set them; and the
/// statements for the limits, where its `options` do not set them, and for the settings on which the form of answers
/// depends.
Result<LinkSettings> link_settings(const std::string& conninfo, const SessionLimits& limits);

/// Whether a session may be one with a standby, by target_session_attrs.
/// @param conninfo as link_settings() makes it.
bool takes_standby(const std::string& conninfo);

/// Whether the string contains a password, in any of its forms, and so must be kept secret. True for one that cannot be
/// parsed.
bool has_password(const std::string& conninfo);
/// The files that the string names by which the server is known: sslrootcert, sslcrl and its own certificate.
std::vector<std::string> trusted_files(const std::string& conninfo);

/// `conninfo` with another database's name.
Result<std::string> with_database(const std::string& conninfo, const std::string& name);

}  // namespace capf::storage
