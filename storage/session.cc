#include "storage/session.h"

namespace capf::storage {
namespace {

/// One round trip begins the transaction, and asks for the time, which server this is, whether it is a standby, and for
/// the session's backend.
std::string begin_of(Access access) {
  return std::string("begin isolation level ") +
         (access == Access::kWrite ? "read committed read write" : "repeatable read read only") +
         "; select microseconds(now()), microseconds(pg_postmaster_start_time()), pg_is_in_recovery(), "
         "pg_backend_pid()";
}

}  // namespace

Session::~Session() {
  const Link& link = connection_.link;
  if (!statements_ || link.is_idle() || !link.is_open()) return;
  const Asking asking(connection_);
  try {
    statements_->exec("rollback");
  } catch (const std::exception&) {
    // Then the connection is not idle, and the pool closes it.
  }
}

Status Session::begin(Access access) {
  CAPF_TRY(guarded(Phase::kBegin, [&] {
    statements_.emplace(connection_.link);
    const pqxx::result time = statements_->exec(begin_of(access));
    Columns columns(time.front());
    now_ = columns.time();
    postmaster_start_ = columns.time();
    standby_ = connection_.standby = columns.boolean();
    if (columns.integer() != connection_.link.backend()) {
      throw pqxx::broken_connection("a pooler between this server and PostgreSQL has changed the session");
    }
    return true;
  }));
  return {};
}

Status Session::single(Access access) {
  if (access == Access::kWrite) work_ = Phase::kCommit;
  CAPF_TRY(guarded(Phase::kBegin, [&] {
    statements_.emplace(connection_.link);
    if (connection_.standby) {
      const pqxx::result answer = statements_->exec("select pg_is_in_recovery()");
      connection_.standby = Columns(answer.front()).boolean();
    }
    standby_ = connection_.standby;
    return true;
  }));
  return {};
}

Status Session::commit() {
  CAPF_TRY(guarded(Phase::kCommit, [&] {
    statements_->exec("commit");
    return true;
  }));
  return {};
}

Result<pqxx::result> Session::run(const Statement& statement, const Parameters& parameters) {
  CAPF_TRY(guarded(Phase::kWork, [&] {
    if (!connection_.prepared.contains(statement.name)) {
      connection_.link.prepare_at_once(statement.name, statement.text);
      connection_.prepared.insert(statement.name);
    }
    return true;
  }));
  return guarded(work_, [&] { return run_prepared(*statements_, statement.name, parameters.pointers()); });
}

Result<pqxx::result> Session::run_once(const std::string& text, const Parameters& parameters) {
  return guarded(work_, [&] { return run_text(*statements_, text, parameters.pointers()); });
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
