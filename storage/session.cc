#include "storage/session.h"

#include <pqxx/transaction>

namespace capf::storage {
namespace {

/// Begins and asks for the time, and whether this is a standby, in one round trip.
class TimedTransaction final : public pqxx::internal::basic_transaction {
 public:
  TimedTransaction(pqxx::connection& link, Access access)
      : pqxx::internal::namedclass("transaction"),
        basic_transaction(link, "", pqxx::read_write),
        begin_(begin_of(access)) {
    Begin();
  }
  ~TimedTransaction() override { End(); }
  TimedTransaction(const TimedTransaction&) = delete;
  TimedTransaction& operator=(const TimedTransaction&) = delete;

  const pqxx::result& time() const { return time_; }

 private:
  static const char* begin_of(Access access) {
    return access == Access::kWrite ? "begin isolation level read committed read write; "
                                      "select microseconds(now()), pg_is_in_recovery()"
                                    : "begin isolation level repeatable read read only; "
                                      "select microseconds(now()), pg_is_in_recovery()";
  }
  void do_begin() override { time_ = direct_exec(begin_); }

  const char* const begin_;
  pqxx::result time_;
};

}  // namespace

// What was not committed is rolled back when the transaction goes; that may throw no more than anything else here.
Session::~Session() {
  const Asking asking(connection_);
  try {
    transaction_.reset();
  } catch (...) {
    fault_ = fault_of(std::current_exception(), connection_.link.is_open());
  }
}

Status Session::begin(Access access) {
  CAPF_TRY(guarded([&] {
    auto transaction = std::make_unique<TimedTransaction>(connection_.link, access);
    const pqxx::result time = transaction->time();
    transaction_ = std::move(transaction);
    Columns columns(time.front());
    now_ = columns.time();
    standby_ = columns.boolean();
    return true;
  }));
  return {};
}

Status Session::commit() {
  CAPF_TRY(guarded([&] {
    transaction_->commit();
    return true;
  }));
  return {};
}

Result<pqxx::result> Session::run(const Statement& statement, const Parameters& parameters) {
  return guarded([&] {
    if (connection_.prepared.insert(statement.name).second) connection_.link.prepare(statement.name, statement.text);
    return transaction_->exec_prepared(statement.name, pqxx::prepare::make_dynamic_params(parameters.pointers()));
  });
}

Result<pqxx::result> Session::run_once(const std::string& text, const Parameters& parameters) {
  return guarded(
      [&] { return transaction_->exec_params(text, pqxx::prepare::make_dynamic_params(parameters.pointers())); });
}

Status Session::execute(const Statement& statement, const Parameters& parameters) {
  CAPF_TRY(run(statement, parameters));
  return {};
}

Result<bool> Session::changes(const Statement& statement, const Parameters& parameters) {
  CAPF_LET(const auto result, run(statement, parameters));
  return result.affected_rows() > 0;
}

}  // namespace capf::storage
