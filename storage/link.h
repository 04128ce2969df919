#pragma once

#include <string>

#include "capf/base/error.h"
#include "storage/conninfo.h"
#include "storage/pqxx.h"

namespace capf::storage {

/// PostgreSQL's session as libpq made it.
struct Raw {
  PGconn* connection = nullptr;  ///< owned
  int backend = 0;
  bool standby = false;
};

/// A connection of libpqxx over one of libpq whose state can be read. It connects once. Threads: one at a time.
class Link final : public Adopted {
 public:
  /// Throws pqxx::broken_connection.
  explicit Link(const LinkSettings& settings);

  /// Whether, by PostgreSQL's last answer, no transaction is open, neither a good nor an aborted one.
  bool is_idle() const { return state() == PQTRANS_IDLE; }
  /// PostgreSQL's process behind the session, as it said when the session began.
  int backend() const { return backend_; }
  /// Whether that was a standby when the session began. It may become the primary; a primary is a standby only after a
  /// start, which ends its sessions.
  bool began_on_standby() const { return standby_; }
  /// Whether there is a pooler between here and PostgreSQL: it makes up a process number of its own.
  bool is_pooled() const { return backendpid() != backend(); }

 private:
  explicit Link(const Raw& raw);

  const int backend_;
  const bool standby_;
};

/// INVALID_CONFIGURATION where a pooler gives each transaction, or each statement, any session of PostgreSQL that is
/// free: then the settings and prepared statements of a session would be another client's. Throws libpqxx's exceptions.
/// @param link an idle one, made with these settings.
Status check_pooler(Link& link, const LinkSettings& settings);

}  // namespace capf::storage
