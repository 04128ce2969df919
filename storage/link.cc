#include "storage/link.h"

#include <cstdlib>
#include <memory>
#include <new>
#include <string_view>

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

/// Sets the session's settings. @return the session with what it says of itself
Raw adapt(PGconn* connection, const std::string& statements) {
  for (int attempt = 1;; ++attempt) {
    const std::unique_ptr<PGresult, void (*)(PGresult*)> result(::PQexec(connection, statements.c_str()), ::PQclear);
    if (::PQresultStatus(result.get()) != PGRES_TUPLES_OK) {
      // The role's own limit, for instance of a millisecond, counts until the first statement has set another.
      if (state_of(result.get()) == kCancelled && attempt < kAttempts) continue;
      throw pqxx::broken_connection(::PQerrorMessage(connection));
    }
    const int columns = ::PQnfields(result.get());
    const auto is_true = [&](int column) { return std::string_view(::PQgetvalue(result.get(), 0, column)) == "t"; };
    if (!is_true(columns - 3)) {
      throw pqxx::broken_connection(
          "session_replication_role is set for the role or the database: triggers do not run");
    }
    return {connection, std::atoi(::PQgetvalue(result.get(), 0, columns - 1)), is_true(columns - 2)};
  }
}

Raw connect(const LinkSettings& settings) {
  std::unique_ptr<PGconn, void (*)(PGconn*)> connection(::PQconnectdb(settings.conninfo.c_str()), ::PQfinish);
  if (connection == nullptr) throw std::bad_alloc();
  if (::PQstatus(connection.get()) != CONNECTION_OK) {
    throw pqxx::broken_connection(::PQerrorMessage(connection.get()));
  }
  ::PQsetNoticeProcessor(connection.get(), drop_notice, nullptr);
  Raw raw = adapt(connection.get(), settings.statements);
  ::PQsetNoticeProcessor(connection.get(), log_notice, nullptr);
  raw.connection = connection.release();
  return raw;
}

}  // namespace

Link::Link(const LinkSettings& settings) : Link(connect(settings)) {}

Link::Link(const Raw& raw) : Adopted(raw.connection, log_notice), backend_(raw.backend), standby_(raw.standby) {}

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
