#pragma once

#include <optional>
#include <string>

#include "capf/domain/store.h"

namespace capf::service {

/// What somebody must do now and then, one server at a time by lease: expires operations that were overdue for
/// kOverdueGrace, drops old counts of wrong strings. Threads: one.
class Maintenance {
 public:
  /// @param holder a name of this server that no other one has.
  Maintenance(Database& database, std::string holder) : database_(database), holder_(std::move(holder)) {}
  /// One round; call it every minute. @return operations that expired; nothing where another server has the lease.
  Result<std::optional<int>> run();

 private:
  Database& database_;
  std::string holder_;
};

}  // namespace capf::service
