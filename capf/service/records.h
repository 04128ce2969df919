#pragma once

#include <vector>

#include "capf/base/address.h"
#include "capf/domain/store.h"

namespace capf::service {

/// The record, to read; and refusals that no other use case writes down. Threads: any.
class Records {
 public:
  explicit Records(Database& database) : database_(database) {}

  Result<std::vector<AuditEvent>> list(const AuditFilter& filter, const Page& page);
  Result<std::vector<RefusalCount>> refusals(std::optional<TimePoint> since, int limit);
  /// An administrator was refused something: one event.
  void refused(const Actor& actor, const std::string& action, const Error& error);
  /// Somebody without a name was refused: counted.
  void refused_stranger(const Address& address, const Error& error);

 private:
  Database& database_;
};

}  // namespace capf::service
