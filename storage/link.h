#pragma once

#include <string>

#include <libpq-fe.h>
#include <pqxx/connection_base>
#include <pqxx/connectionpolicy>

#include "capf/base/error.h"
#include "storage/conninfo.h"

namespace capf::storage {

/// A connection of libpqxx over one of libpq whose state can be read. It connects once: libpqxx 6 connects again by
/// itself, and would run the rest of a transaction outside of one. (For libpqxx 7 it is a pqxx::connection that was
/// made by seize_raw_connection(), and the pointer.) Threads: one at a time.
class Link final : public pqxx::connection_base {
 public:
  /// Throws pqxx::broken_connection.
  explicit Link(const LinkSettings& settings);
  ~Link();

  /// Whether, by PostgreSQL's last answer, no transaction is open, neither a good nor an aborted one.
  bool is_idle() const { return policy_.state() == PQTRANS_IDLE; }
  /// PostgreSQL's process behind the session, as it said when the session began.
  int backend() const { return policy_.backend(); }
  /// Whether there is a pooler between here and PostgreSQL: it makes up a process number of its own.
  bool is_pooled() const { return backendpid() != backend(); }

 private:
  class Once final : public pqxx::connectionpolicy {
   public:
    explicit Once(const LinkSettings& settings)
        : connectionpolicy(settings.conninfo), statements_(settings.statements) {}
    PGTransactionStatusType state() const { return ::PQtransactionStatus(link_); }
    int backend() const { return backend_; }

    handle do_startconnect(handle present) override;
    handle do_disconnect(handle present) noexcept override;

   private:
    void adapt();

    const std::string statements_;
    PGconn* link_ = nullptr;
    int backend_ = 0;
    bool used_ = false;
  };

  Once policy_;
};

/// INVALID_CONFIGURATION where a pooler gives each transaction, or each statement, any session of PostgreSQL that is
/// free: then the settings and prepared statements of a session would be another client's. Throws libpqxx's exceptions.
/// @param link an idle one, made with these settings.
Status check_pooler(Link& link, const LinkSettings& settings);

}  // namespace capf::storage
