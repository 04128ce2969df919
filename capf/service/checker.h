#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capf/domain/check.h"
#include "capf/domain/database.h"

namespace capf::service {

/// The position of a check.
struct CheckCursor {
  TimePoint issued_at;
  std::int64_t id = 0;
  std::optional<TimePoint> until = std::nullopt;  ///< only those that were issued before
};

struct CheckPage {
  int checked = 0;
  std::vector<Finding> findings;
  std::optional<CheckCursor> next;  ///< absent: all are checked
};

/// Re-reads the LSCs that were issued, with none of the code that issues: each certificate against its record
/// (`ca::recheck_lsc`), and that the records beside it exist: operation, event, key, revocation. Findings: those of
/// `recheck_lsc`, and DIGEST, SERIAL_TWICE, OPERATION, AUDIT, KEY_RECORD, REVOCATION. Threads: any.
class Checker {
 public:
  explicit Checker(Database& database, std::string holder) : database_(database), holder_(std::move(holder)) {}

  /// Checks some hundred LSCs, of those that were issued at or after the cursor.
  Result<CheckPage> check(const CheckCursor& from);
  /// Checks the LSCs issued in the last two periods, once in a period: one server at a time, by lease. Records the
  /// findings. @return findings, at most 1000 of them; nothing where it is not due here.
  Result<std::optional<std::vector<Finding>>> run(std::chrono::hours period);

 private:
  Database& database_;
  std::string holder_;
};

}  // namespace capf::service
