#include "storage/link.h"

#include <memory>
#include <new>
#include <string_view>

#include <pqxx/except>

#include "capf/base/log.h"

namespace capf::storage {
namespace {

/// libpq writes warnings of PostgreSQL to standard error, which may stand still.
void log_notice(void*, const char* words) { log_warning("database.warned", {{"words", words}}); }

/// An acknowledged LSC must outlast a crash, and the triggers that guard the record must run. A cluster that waits for
/// more than its own disk keeps doing so.
constexpr const char* kAdapt =
    "select case when current_setting('synchronous_commit') = 'off' then "
    "set_config('synchronous_commit', 'on', false) end, current_setting('session_replication_role') = 'origin'";

void adapt(PGconn* link) {
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(::PQexec(link, kAdapt), ::PQclear);
  if (::PQresultStatus(result.get()) != PGRES_TUPLES_OK) throw pqxx::broken_connection(::PQerrorMessage(link));
  if (std::string_view(::PQgetvalue(result.get(), 0, 1)) != "t") {
    throw pqxx::broken_connection("session_replication_role is set for the role or the database: triggers do not run");
  }
}

}  // namespace

Link::Link(const std::string& conninfo) : connection_base(policy_), policy_(conninfo) { init(); }

Link::~Link() { close(); }

Link::Once::handle Link::Once::do_startconnect(handle present) {
  if (present != nullptr) return present;
  if (used_) throw pqxx::broken_connection("the connection was lost");
  used_ = true;
  link_ = ::PQconnectdb(options().c_str());
  if (link_ == nullptr) throw std::bad_alloc();
  if (::PQstatus(link_) != CONNECTION_OK) {
    const std::string words = ::PQerrorMessage(link_);
    ::PQfinish(link_);
    link_ = nullptr;
    throw pqxx::broken_connection(words);
  }
  ::PQsetNoticeProcessor(link_, log_notice, nullptr);
  try {
    adapt(link_);
  } catch (...) {
    ::PQfinish(link_);
    link_ = nullptr;
    throw;
  }
  return link_;
}

Link::Once::handle Link::Once::do_disconnect(handle present) noexcept {
  link_ = nullptr;
  return connectionpolicy::do_disconnect(present);
}

}  // namespace capf::storage
