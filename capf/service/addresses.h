#pragma once

#include <vector>

#include "capf/domain/database.h"
#include "capf/domain/policy.h"
#include "capf/domain/string_store.h"

namespace capf::service {

/// An address from which too many wrong strings came, with the limit that it reached.
struct AddressView {
  LimitedAddress reached;
  int limit = 0;
};

/// The administrator's view of addresses from which wrong authentication strings come. Threads: any.
class Addresses {
 public:
  Addresses(Database& database, const SitePolicy& policy) : database_(database), policy_(policy) {}

  /// Those that reached a limit within the hour, those with the most strings first, at most 1,000.
  Result<std::vector<AddressView>> limited();
  /// Clears the counts of the address (IPv6: of its /64), for all devices; counts of a device or an operation stay.
  /// @return whether there were any.
  Result<bool> unlock(const Actor& actor, const Address& address);

 private:
  Database& database_;
  const SitePolicy& policy_;
};

}  // namespace capf::service
