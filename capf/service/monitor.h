#pragma once

#include <vector>

#include "capf/domain/store.h"

namespace capf::service {

/// What monitoring polls. Threads: any.
class Monitor {
 public:
  Monitor(Database& database, const Clock& clock) : database_(database), clock_(clock) {}

  Result<Summary> summary();
  Result<std::vector<Operation>> pending(const OperationFilter& filter, const Page& page);
  Result<ChangeCursor> end_of_changes();
  Result<std::vector<OperationChange>> changes(const ChangeCursor& cursor, int limit);
  /// Whether the database answers and this server's clock agrees with its. Errors: DATABASE_UNAVAILABLE, CLOCK_SKEW.
  Status healthy();

 private:
  Database& database_;
  const Clock& clock_;
};

}  // namespace capf::service
