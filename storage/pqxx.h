#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <libpq-fe.h>
#include <pqxx/except>
#include <pqxx/nontransaction>
#include <pqxx/result>
#include <pqxx/row>
#include <pqxx/transaction>
#include <pqxx/version>

#if PQXX_VERSION_MAJOR >= 7
#include <pqxx/connection>
#include <pqxx/params>
#include <pqxx/prepared_statement>
#define CAPF_PQXX_7 1
#else
#include <pqxx/connection_base>
#include <pqxx/connectionpolicy>
#define CAPF_PQXX_7 0
#endif

// libpqxx 6 and libpqxx 7, of Debian 12 and 13, in one shape. No other file asks for the version.

namespace capf::storage {

#if CAPF_PQXX_7

/// A connection of libpqxx over one of libpq that is up already and that it owns. It never connects again.
class Adopted : public pqxx::connection {
 public:
  /// Prepares a statement now.
  void prepare_at_once(const char* name, const std::string& text) { prepare(name, text); }

 protected:
  /// @param notice what hears PostgreSQL's warnings: libpqxx has put its own in place.
  Adopted(PGconn* link, PQnoticeProcessor notice) : connection(seize_raw_connection(link)), link_(link) {
    ::PQsetNoticeProcessor(link, notice, nullptr);
  }
  PGTransactionStatusType state() const { return is_open() ? ::PQtransactionStatus(link_) : PQTRANS_UNKNOWN; }

 private:
  PGconn* const link_;
};

/// The values, of which the caller keeps the octets.
inline pqxx::params parameters_of(const std::vector<const char*>& values) {
  pqxx::params parameters;
  parameters.reserve(values.size());
  for (const char* value : values) {
    if (value == nullptr) {
      parameters.append();
    } else {
      parameters.append(pqxx::zview(value));
    }
  }
  return parameters;
}

#else

class Adopted : public pqxx::connection_base {
 public:
  void prepare_at_once(const char* name, const std::string& text) {
    prepare(name, text);
    prepare_now(name);  // else its first use would: a loss of that would be in doubt
  }

 protected:
  Adopted(PGconn* link, PQnoticeProcessor) : connection_base(policy_), policy_(link) { init(); }
  ~Adopted() { close(); }
  PGTransactionStatusType state() const { return ::PQtransactionStatus(policy_.link); }

 private:
  /// libpqxx 6 connects again by itself, and would run the rest of a transaction outside of one.
  class Once final : public pqxx::connectionpolicy {
   public:
    explicit Once(PGconn* given) : connectionpolicy(""), link(given) {}

    handle do_startconnect(handle present) override {
      if (present != nullptr) return present;
      if (used_) throw pqxx::broken_connection("the connection was lost");
      used_ = true;
      return link;
    }
    handle do_disconnect(handle present) noexcept override {
      link = nullptr;
      return connectionpolicy::do_disconnect(present);
    }

    PGconn* link;

   private:
    bool used_ = false;
  };

  Once policy_;
};

#endif

/// Runs a prepared statement. @param values null pointers are NULL
inline pqxx::result run_prepared(pqxx::transaction_base& transaction, const char* name,
                                 const std::vector<const char*>& values) {
#if CAPF_PQXX_7
  return transaction.exec(pqxx::prepped{name}, parameters_of(values));
#else
  return transaction.exec_prepared(name, pqxx::prepare::make_dynamic_params(values));
#endif
}
/// The same without preparing it.
inline pqxx::result run_text(pqxx::transaction_base& transaction, const std::string& text,
                             const std::vector<const char*>& values) {
#if CAPF_PQXX_7
  return transaction.exec(text, parameters_of(values));
#else
  return transaction.exec_params(text, pqxx::prepare::make_dynamic_params(values));
#endif
}
/// The same with the values as they are.
template <class... Values>
pqxx::result run_with(pqxx::transaction_base& transaction, const std::string& text, const Values&... values) {
#if CAPF_PQXX_7
  return transaction.exec(text, pqxx::params{values...});
#else
  return transaction.exec_params(text, values...);
#endif
}

}  // namespace capf::storage
