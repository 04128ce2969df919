#include "storage/fault.h"

#include <string_view>

#include "storage/pqxx.h"

namespace capf::storage {
namespace {

Fault make(Remedy remedy, Reason reason, const std::string& cause) {
  return {remedy, Error{reason, std::string(words(reason)), cause}};
}

/// A commit without an answer may or may not have been done.
Fault lost(const std::string& cause, Phase phase) {
  if (phase == Phase::kCommit) return make(Remedy::kAsk, Reason::kCommitInDoubt, cause);
  return make(Remedy::kReconnect, Reason::kDatabaseUnavailable, cause);
}

// PostgreSQL's appendix A: the first two characters are the class.
Fault of_state(std::string_view state, const std::string& cause, Phase phase) {
  const std::string_view kind = state.substr(0, 2);
  if (state == "40001" || state == "40P01") return make(Remedy::kRepeat, Reason::kChangedMeanwhile, cause);
  if (state == "55P03") return make(Remedy::kGiveUp, Reason::kOverloaded, cause);           // lock_timeout
  if (state == "57014") return make(Remedy::kGiveUp, Reason::kDatabaseUnavailable, cause);  // statement_timeout
  // A standby cannot be written, and has no transaction that writes. Later in a transaction 0A000 means that a prepared
  // statement's columns have changed.
  if (state == "25006" || (state == "0A000" && phase == Phase::kBegin)) {
    return make(Remedy::kPrimary, Reason::kDatabaseReadOnly, cause);
  }
  if (kind == "08" || kind == "57" || state == "25P03" || state == "25P04") return lost(cause, phase);  // cut off
  if (kind == "53" || kind == "58") return make(Remedy::kGiveUp, Reason::kDatabaseUnavailable, cause);  // disk, memory
  // A constraint or trigger refuses the same in every session.
  if (kind == "23" || kind == "P0") return make(Remedy::kGiveUp, Reason::kInternal, cause);
  // Any other error may come from the state of the session: a prepared statement that is gone or whose columns have
  // changed, another role, search_path or form of values, a function that has moved.
  return make(Remedy::kRenew, Reason::kInternal, cause);
}

}  // namespace

// The order matters: statement_completion_unknown is a transaction_rollback, which otherwise may be repeated.
Fault fault_of(const std::exception_ptr& exception, bool connected, Phase phase) {
  try {
    std::rethrow_exception(exception);
  } catch (const pqxx::in_doubt_error& error) {
    return make(Remedy::kAsk, Reason::kCommitInDoubt, error.what());
  } catch (const pqxx::statement_completion_unknown& error) {
    return make(Remedy::kAsk, Reason::kCommitInDoubt, error.what());
  } catch (const pqxx::transaction_rollback& error) {
    return make(Remedy::kRepeat, Reason::kChangedMeanwhile, error.what());
  } catch (const pqxx::broken_connection& error) {
    return lost(error.what(), phase);
  } catch (const pqxx::sql_error& error) {
    if (!connected) return lost(error.what(), phase);
    return of_state(error.sqlstate(), error.what(), phase);
  } catch (const std::exception& error) {
    if (!connected) return lost(error.what(), phase);
    return make(Remedy::kRenew, Reason::kInternal, error.what());  // a row that is not as the schema promises
  }
}

}  // namespace capf::storage
