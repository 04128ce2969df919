#include "storage/fault.h"

#include <string_view>

#include <pqxx/except>

namespace capf::storage {
namespace {

Fault make(Remedy remedy, Reason reason, const std::string& cause) {
  return {remedy, Error{reason, std::string(words(reason)), cause}};
}

Fault lost(const std::string& cause) { return make(Remedy::kReconnect, Reason::kDatabaseUnavailable, cause); }

// PostgreSQL's appendix A: the first two characters are the class.
Fault of_state(std::string_view state, const std::string& cause) {
  const std::string_view kind = state.substr(0, 2);
  if (state == "40001" || state == "40P01") return make(Remedy::kRepeat, Reason::kChangedMeanwhile, cause);
  if (state == "55P03") return make(Remedy::kGiveUp, Reason::kOverloaded, cause);           // a lock was not to be had
  if (state == "57014") return make(Remedy::kGiveUp, Reason::kDatabaseUnavailable, cause);  // statement_timeout
  // A standby cannot be written; of what we ask for, to begin a transaction that writes is all that it does not have.
  if (state == "25006" || state == "0A000") return make(Remedy::kPrimary, Reason::kDatabaseReadOnly, cause);
  if (kind == "08" || kind == "57" || state == "25P03" || state == "25P04") return lost(cause);         // cut off
  if (kind == "53" || kind == "58") return make(Remedy::kGiveUp, Reason::kDatabaseUnavailable, cause);  // disk, memory
  return make(Remedy::kGiveUp, Reason::kInternal, cause);
}

}  // namespace

// The order matters: statement_completion_unknown is a transaction_rollback, which otherwise may be repeated.
Fault fault_of(const std::exception_ptr& exception, bool connected) {
  try {
    std::rethrow_exception(exception);
  } catch (const pqxx::in_doubt_error& error) {
    return make(Remedy::kAsk, Reason::kCommitInDoubt, error.what());
  } catch (const pqxx::statement_completion_unknown& error) {
    return make(Remedy::kAsk, Reason::kCommitInDoubt, error.what());
  } catch (const pqxx::transaction_rollback& error) {
    return make(Remedy::kRepeat, Reason::kChangedMeanwhile, error.what());
  } catch (const pqxx::broken_connection& error) {
    return lost(error.what());
  } catch (const pqxx::sql_error& error) {
    if (!connected) return lost(error.what());
    return of_state(error.sqlstate(), error.what());
  } catch (const std::exception& error) {
    if (!connected) return lost(error.what());
    return make(Remedy::kGiveUp, Reason::kInternal, error.what());
  }
}

}  // namespace capf::storage
