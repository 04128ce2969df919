#pragma once

#include <memory>
#include <string>

#include "storage/database.h"

namespace capf::test {

/// A database of one test's own in the test run's cluster, with the schema of this program; dropped at the end. The
/// cluster is named by CAPF_TEST_DATABASE ("host=SOCKETDIR"), or by the file that CAPF_TEST_ENDPOINT names, as
/// scripts/postgres writes it; its roles are postgres, capf_owner and capf_server. A failure here ends the program.
class FreshDatabase {
 public:
  enum class Schema { kMigrated, kNone };
  explicit FreshDatabase(Schema schema = Schema::kMigrated);
  ~FreshDatabase();
  FreshDatabase(const FreshDatabase&) = delete;
  FreshDatabase& operator=(const FreshDatabase&) = delete;

  std::string conninfo(const std::string& role = "capf_server") const;
  /// As the server connects.
  std::unique_ptr<storage::PostgresDatabase> open(int connections = 4) const;
  std::unique_ptr<storage::PostgresDatabase> open(storage::DatabaseSettings settings) const;

  /// Runs SQL as a role; throws std::runtime_error with the server's words where that fails.
  /// @return the first column of the first row as text, or nothing.
  std::string sql(const std::string& text, const std::string& role = "capf_owner") const;
  /// sql() when no session is left whose reads PostgreSQL's statistics may lack.
  std::string statistics(const std::string& text) const;

 private:
  std::string name_;
};

}  // namespace capf::test
