#include "storage/link.h"

#include <cstdlib>
#include <memory>
#include <new>
#include <string_view>

#include <pqxx/except>
#include <pqxx/nontransaction>

#include "capf/base/log.h"

namespace capf::storage {
namespace {

/// Logs PostgreSQL's warnings; libpq would write them to standard error, which may block.
void log_notice(void*, const char* words) { log_warning("database.warned", {{"words", words}}); }
/// Until the session has set client_min_messages.
void drop_notice(void*, const char*) {}

constexpr int kAttempts = 3;
constexpr const char* kCancelled = "57014";

std::string_view state_of(const PGresult* result) {
  const char* state = ::PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return state == nullptr ? "" : state;
}

}  // namespace

Link::Link(const LinkSettings& settings) : connection_base(policy_), policy_(settings) { init(); }

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
  ::PQsetNoticeProcessor(link_, drop_notice, nullptr);
  try {
    adapt();
  } catch (...) {
    ::PQfinish(link_);
    link_ = nullptr;
    throw;
  }
  ::PQsetNoticeProcessor(link_, log_notice, nullptr);
  return link_;
}

void Link::Once::adapt() {
  for (int attempt = 1;; ++attempt) {
    const std::unique_ptr<PGresult, void (*)(PGresult*)> result(::PQexec(link_, statements_.c_str()), ::PQclear);
    if (::PQresultStatus(result.get()) != PGRES_TUPLES_OK) {
      // The role's own limit, for instance of a millisecond, counts until the first statement has set another.
      if (state_of(result.get()) == kCancelled && attempt < kAttempts) continue;
      throw pqxx::broken_connection(::PQerrorMessage(link_));
    }
    const int columns = ::PQnfields(result.get());
    if (std::string_view(::PQgetvalue(result.get(), 0, columns - 2)) != "t") {
      throw pqxx::broken_connection(
          "session_replication_role is set for the role or the database: triggers do not run");
    }
    backend_ = std::atoi(::PQgetvalue(result.get(), 0, columns - 1));
    return;
  }
}

Link::Once::handle Link::Once::do_disconnect(handle present) noexcept {
  link_ = nullptr;
  return connectionpolicy::do_disconnect(present);
}

Status check_pooler(Link& link, const LinkSettings& settings) {
  if (!link.is_pooled()) return {};
  const auto refuse = [] {
    return fail(Reason::kInvalidConfiguration,
                "the database's connection string leads to a pooler that gives every transaction another session of "
                "PostgreSQL (PgBouncer: pool_mode transaction or statement); capfd needs pool_mode session, or the "
                "database itself");
  };
  // Several rounds, because other clients of the pooler may have the session that would have shown it.
  constexpr int kRounds = 5;
  for (int round = 0; round < kRounds; ++round) {
    const std::string mark = std::to_string(link.backend()) + "/" + std::to_string(round);
    pqxx::nontransaction(link).exec("select set_config('capf.mark', '" + mark + "', false)");
    Link other(settings);
    if (other.backend() == link.backend()) return refuse();
    pqxx::nontransaction held(other);
    try {
      // While another link holds a session, this link must have kept its own.
      const auto backend = held.exec("begin; select pg_backend_pid()").front()[0].as<int>();
      if (backend == link.backend() || backend != other.backend()) return refuse();
    } catch (const std::exception& error) {
      if (std::string_view(error.what()).find("pooling mode") != std::string_view::npos) return refuse();
      throw;
    }
    const auto kept = pqxx::nontransaction(link).exec("select current_setting('capf.mark', true)").front();
    if (kept[0].is_null() || kept[0].as<std::string>() != mark) return refuse();
    held.exec("rollback");
  }
  return {};
}

}  // namespace capf::storage
