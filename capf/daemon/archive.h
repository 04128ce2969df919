#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "capf/daemon/configuration.h"

namespace capf::daemon {

/// Files of lines, one for each kind and month, that grow at their ends: "audit-2030-12.jsonl". Mode 0600, in a folder
/// of mode 0700. An incomplete last line is removed when its file is opened.
class MonthFiles {
 public:
  explicit MonthFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}
  ~MonthFiles();
  MonthFiles(const MonthFiles&) = delete;
  MonthFiles& operator=(const MonthFiles&) = delete;

  /// Errors: INVALID_CONFIGURATION, SECRET_EXPOSED.
  Status open();
  Status append(const std::string& kind, const std::string& month, const std::string& line);
  /// Syncs the appended lines to disk.
  Status sync();
  /// The last line of the latest month; empty where there is none.
  Result<std::string> last_line(const std::string& kind);

 private:
  Result<int> file(const std::string& name);

  std::filesystem::path folder_;
  std::map<std::string, int> open_;
  std::set<int> changed_;
};

/// Moves old rows out of the database, as its owner: events with their seals, certificates, operations, in this order,
/// because the earlier ones refer to the later ones. In batches: written and synced first, then deleted, so that a
/// crash loses no row; one whose deletion was cut off is twice in its file.
/// Errors: INVALID_CONFIGURATION, RECORD_BROKEN where a seal does not match its events, or the files end with a seal
/// that another one has replaced on record, and those of the database.
Status archive(const Configuration& configuration);

}  // namespace capf::daemon
