#pragma once

#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "capf/domain/database.h"
#include "capf/service/highwater.h"

namespace capf::service {

/// A file of lines that grows. Threads: one.
class Lines {
 public:
  virtual ~Lines() = default;
  /// Every whole line. Errors: INVALID_CONFIGURATION.
  virtual Result<std::vector<std::string>> read() = 0;
  /// Synced to disk when it returns.
  virtual Status append(std::span<const std::string> lines) = 0;
  /// No line is left but these; the former ones stay where it fails. On disk when it returns.
  virtual Status replace(std::span<const std::string> lines) = 0;
};

/// Follows the withdrawals of every server into a file beside the keys. The database must have what the file ends with.
/// The file grows with what is withdrawn, not with what is withdrawn and given back: entries that say nothing any more
/// are left out now and then. Threads: any.
class Journal {
 public:
  Journal(Database& database, Lines& lines, HighWater& high_water)
      : database_(database), lines_(lines), high_water_(high_water) {}

  /// Reads the file, at the start. Errors: INVALID_CONFIGURATION.
  Status open();
  /// Appends the withdrawals that are new in the database. Call it every few seconds.
  /// Errors: DATABASE_BEHIND, reported as a mark, where the database lacks the last one in the file.
  Status follow();
  /// After a recovery, when the database has everything that was in the file: writes the file again from the database.
  Status begin_anew();

 private:
  Status follow_locked();
  Result<std::vector<Withdrawal>> read();
  Status condense_when_due(std::vector<Withdrawal> journal);

  Database& database_;
  Lines& lines_;
  HighWater& high_water_;
  std::mutex mutex_;
  std::optional<Withdrawal> last_;
  std::size_t size_ = 0;  ///< entries in the file
  std::size_t due_ = 0;   ///< entries at which the file is condensed
};

}  // namespace capf::service
