#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "capf/daemon/complaint.h"
#include "capf/domain/database.h"
#include "capf/service/configurations.h"

namespace capf::daemon {

/// The site's folder of phones' configuration files. The server that has the lease of maintenance imports those that it
/// has not seen as they are, so that after another server took over they are compared with the record once. A file that
/// cannot be imported hinders no other one; it is logged once, and tried again, because its phone may be added later.
/// Threads: one.
class SourceFolder {
 public:
  /// @param holder as Maintenance has it
  SourceFolder(std::filesystem::path folder, Database& database, service::Configurations& configurations,
               std::string holder)
      : folder_(std::move(folder)), database_(database), configurations_(configurations), holder_(std::move(holder)) {}

  /// @return the time until it is to be called again
  std::chrono::milliseconds read();

 private:
  /// Time of the last change in the file system's own units, and size.
  using Stamp = std::pair<std::int64_t, std::uintmax_t>;

  Result<bool> holds_lease();
  Status read_all();
  Status take(const std::string& name, const Stamp& stamp);
  Status import();
  void complain(const std::string& name, const Error& error);

  const std::filesystem::path folder_;
  Database& database_;
  service::Configurations& configurations_;
  const std::string holder_;
  std::map<std::string, Stamp> seen_;         ///< as they are on record, or as they are no use
  std::map<std::string, Reason> complained_;  ///< of files that are not
  std::vector<service::ImportedConfiguration> batch_;
  std::map<std::string, Stamp> stamps_;  ///< of the batch
  std::size_t octets_ = 0;               ///< of the batch
  Complaint complaint_{"configurations.unread"};
};

}  // namespace capf::daemon
