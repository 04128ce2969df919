#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "capf/domain/issuer.h"
#include "capf/domain/operation.h"
#include "capf/domain/phone.h"

namespace capf::service {

/// The facts that decide whether an operation that is being scheduled can succeed, as of now.
struct Prospects {
  OperationKind kind = OperationKind::kInstall;
  AuthMode auth = AuthMode::kString;
  const std::vector<Phone>& phones;
  const std::unordered_set<std::int64_t>& with_lsc;  ///< ids of phones with a valid LSC on record
  const std::vector<TrustAnchor>& anchors;
  TimePoint now;
};

/// Warnings for an administrator: of phones that no anchor or record vouches for, and of those without an LSC to
/// delete. They name a few of them.
std::vector<std::string> warn_of(const Prospects& prospects);

}  // namespace capf::service
