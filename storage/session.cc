#include "storage/session.h"

#include <pqxx/transaction>

namespace capf::storage {
namespace {

using WriteTransaction = pqxx::transaction<pqxx::read_committed, pqxx::read_write>;
using ReadTransaction = pqxx::transaction<pqxx::repeatable_read, pqxx::read_only>;

const Statement kNow{"now", "select microseconds(now())"};

}  // namespace

// What was not committed is rolled back when the transaction goes; that may throw no more than anything else here.
Session::~Session() {
  try {
    transaction_.reset();
  } catch (...) {
    fault_ = fault_of(std::current_exception(), connection_.link.is_open());
  }
}

Status Session::begin(Access access) {
  CAPF_TRY(guarded([&] {
    if (access == Access::kWrite)
      transaction_ = std::make_unique<WriteTransaction>(connection_.link);
    else
      transaction_ = std::make_unique<ReadTransaction>(connection_.link);
    return true;
  }));
  CAPF_LET(now_, value(kNow, Parameters(), read_time));
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
