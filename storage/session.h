#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

#include "storage/columns.h"
#include "storage/fault.h"
#include "storage/link.h"
#include "storage/parameters.h"
#include "storage/pqxx.h"

namespace capf::storage {

/// SQL with the name under which a connection prepares it when it is first used.
struct Statement {
  const char* name;
  std::string text;
};

/// A connection with its prepared statements. Belongs to one thread at a time.
struct Connection {
  explicit Connection(const LinkSettings& settings) : link(settings), socket(::dup(link.sock())) {}
  ~Connection() {
    if (socket >= 0) ::close(socket);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// From any thread: a wait for the database over this connection ends with a lost connection.
  void cut() const { ::shutdown(socket, SHUT_RDWR); }

  Link link;
  bool standby = link.began_on_standby();                                                    ///< when it was last asked
  std::chrono::steady_clock::time_point end = std::chrono::steady_clock::time_point::max();  ///< its end in a pool
  std::set<std::string> prepared;
  /// When the running question to the database began, by the steady clock; its epoch while there is none.
  std::atomic<std::chrono::steady_clock::time_point> asked{};

 private:
  const int socket;  ///< a duplicate of the link's, so that the number stays valid until the end
};

/// Marks a running question to the database, during its life.
class Asking {
 public:
  explicit Asking(Connection& connection) : connection_(connection) {
    connection_.asked = std::chrono::steady_clock::now();
  }
  ~Asking() { connection_.asked = std::chrono::steady_clock::time_point{}; }
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;

 private:
  Connection& connection_;
};

enum class Access { kRead, kWrite };

/// An open transaction on a connection. Stores run their statements through it; it lets no exception of libpqxx out.
/// After a fault it sends no more statements: each returns the same error. At the end it rolls back what was not
/// committed; where that fails too, the connection is not idle afterwards.
class Session {
 public:
  explicit Session(Connection& connection) : connection_(connection) {}
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Writes are READ COMMITTED, so that a read after a lock sees the rows of the lock's last holder. Reads see one
  /// snapshot.
  Status begin(Access access);
  Status commit();
  /// In place of begin(): each statement is a transaction of its own, in one round trip, so that one that writes is in
  /// doubt where its answer is lost. now() and postmaster_start() are not known. On a standby one more round trip asks
  /// whether it is one still.
  Status single(Access access);

  const std::optional<Fault>& fault() const { return fault_; }
  TimePoint now() const { return now_; }
  TimePoint postmaster_start() const { return postmaster_start_; }
  bool standby() const { return standby_; }

  Result<pqxx::result> run(const Statement& statement, const Parameters& parameters);
  /// Runs it without preparing it, planned for just these values.
  Result<pqxx::result> run_once(const std::string& text, const Parameters& parameters);

  /// Maps every row by `map`.
  template <class T>
  Result<std::vector<T>> all(const Statement& statement, const Parameters& parameters, T (*map)(Columns&)) {
    return mapped(run(statement, parameters), map);
  }
  template <class T>
  Result<std::vector<T>> all_once(const std::string& text, const Parameters& parameters, T (*map)(Columns&)) {
    return mapped(run_once(text, parameters), map);
  }
  /// The first row, or nothing.
  template <class T>
  Result<std::optional<T>> first(const Statement& statement, const Parameters& parameters, T (*map)(Columns&)) {
    CAPF_LET(auto rows, all(statement, parameters, map));
    if (rows.empty()) return std::nullopt;
    return std::move(rows.front());
  }
  /// The one row of a statement that always has one.
  template <class T>
  Result<T> value(const Statement& statement, const Parameters& parameters, T (*map)(Columns&)) {
    CAPF_LET(auto row, first(statement, parameters, map));
    if (!row) return fail_internal(std::string("no row from ") + statement.name);
    return *std::move(row);
  }
  /// The rows of a statement that answers `count` questions, and whose first column is the place of a row's question,
  /// from 1. @return an answer for each question, in their order: nothing where there is no row
  template <class T>
  Result<std::vector<std::optional<T>>> placed(const Statement& statement, const Parameters& parameters,
                                               std::size_t count, T (*map)(Columns&)) {
    CAPF_LET(const auto rows, run(statement, parameters));
    return guarded(Phase::kWork, [&] {
      std::vector<std::optional<T>> answers(count);
      for (const pqxx::row& row : rows) {
        Columns columns(row);
        auto& answer = answers.at(static_cast<std::size_t>(columns.number()) - 1);
        answer = map(columns);
      }
      return answers;
    });
  }
  Status execute(const Statement& statement, const Parameters& parameters);
  /// @return whether a row was changed.
  Result<bool> changes(const Statement& statement, const Parameters& parameters);

 private:
  template <class Action>
  auto guarded(Phase phase, Action action) -> Result<decltype(action())> {
    if (fault_) return fail(fault_->error);
    const Asking asking(connection_);
    try {
      return action();
    } catch (...) {
      fault_ = fault_of(std::current_exception(), connection_.link.is_open(), phase);
      return fail(fault_->error);
    }
  }
  template <class T>
  Result<std::vector<T>> mapped(Result<pqxx::result> result, T (*map)(Columns&)) {
    CAPF_LET(const auto rows, std::move(result));
    return guarded(Phase::kWork, [&] {
      std::vector<T> values;
      values.reserve(rows.size());
      for (const pqxx::row& row : rows) {
        Columns columns(row);
        values.push_back(map(columns));
      }
      return values;
    });
  }

  Connection& connection_;
  std::optional<pqxx::nontransaction> statements_;  ///< begin and commit are our own statements too
  std::optional<Fault> fault_;
  Phase work_ = Phase::kWork;  ///< of a statement
  TimePoint now_;
  TimePoint postmaster_start_;
  bool standby_ = false;
};

// Readers of rows with one column.
inline bool read_boolean(Columns& columns) { return columns.boolean(); }
inline int read_integer(Columns& columns) { return columns.integer(); }
inline std::int64_t read_number(Columns& columns) { return columns.number(); }
inline std::string read_text(Columns& columns) { return columns.text(); }
inline TimePoint read_time(Columns& columns) { return columns.time(); }

}  // namespace capf::storage
