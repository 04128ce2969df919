#pragma once

#include <string>

#include <libpq-fe.h>
#include <pqxx/connection_base>
#include <pqxx/connectionpolicy>

namespace capf::storage {

/// libpqxx's connection over one of libpq that can be looked at. It connects once: libpqxx 6 connects again by itself,
/// and would run the rest of a transaction outside of one. (For libpqxx 7 it is a pqxx::connection that was made by
/// seize_raw_connection(), and the pointer.) Threads: one at a time.
class Link final : public pqxx::connection_base {
 public:
  /// Throws pqxx::broken_connection.
  explicit Link(const std::string& conninfo);
  ~Link();

  /// Whether no transaction is open, as far as PostgreSQL has told: neither a good nor an aborted one.
  bool is_idle() const { return policy_.state() == PQTRANS_IDLE; }

 private:
  class Once final : public pqxx::connectionpolicy {
   public:
    using connectionpolicy::connectionpolicy;
    PGTransactionStatusType state() const { return ::PQtransactionStatus(link_); }

    handle do_startconnect(handle present) override;
    handle do_disconnect(handle present) noexcept override;

   private:
    PGconn* link_ = nullptr;
    bool used_ = false;
  };

  Once policy_;
};

}  // namespace capf::storage
