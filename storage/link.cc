#include "storage/link.h"

#include <new>

#include <pqxx/except>

#include "capf/base/log.h"

namespace capf::storage {
namespace {

/// libpq writes warnings of PostgreSQL to standard error, which may stand still.
void log_notice(void*, const char* words) { log_warning("database.warned", {{"words", words}}); }

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
  return link_;
}

Link::Once::handle Link::Once::do_disconnect(handle present) noexcept {
  link_ = nullptr;
  return connectionpolicy::do_disconnect(present);
}

}  // namespace capf::storage
