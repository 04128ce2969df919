#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "capf/domain/issuer.h"
#include "capf/domain/operation.h"
#include "capf/domain/phone.h"

namespace capf::service {

/// What decides whether an operation that is being scheduled can ever succeed, as it is now.
struct Prospects {
  OperationKind kind = OperationKind::kInstall;
  AuthMode auth = AuthMode::kString;
  const std::vector<Phone>& phones;
  const std::unordered_set<std::int64_t>& with_lsc;  ///< ids of those that have an LSC on record that is good
  const std::vector<TrustAnchor>& anchors;
  TimePoint now;
};

/// Warnings for an administrator: of phones that nothing vouches for, and of those that have nothing to delete. A few
/// of them are named.
std::vector<std::string> warn_of(const Prospects& prospects);

}  // namespace capf::service
