#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "capf/domain/issuer.h"
#include "capf/domain/operation.h"

namespace capf::service {

/// The facts that decide whether operations that are being scheduled can succeed, as of now.
struct Prospects {
  OperationKind kind = OperationKind::kInstall;
  std::unordered_set<std::int64_t> with_lsc;  ///< ids of phones with a valid LSC on record
  std::vector<TrustAnchor> anchors;
  TimePoint now;
};

/// The records say this against the operation of one phone.
struct Prospect {
  bool no_anchor = false;    ///< it is to prove itself by a certificate, and neither an anchor nor an LSC speaks for it
  bool without_lsc = false;  ///< a delete finds no LSC
};
Prospect prospect_of(const Prospects& prospects, AuthMode auth, std::int64_t phone_id, const DeviceName& device);

/// The phones of some prospects, by name.
struct Hopeless {
  std::vector<std::string> no_anchor;
  std::vector<std::string> without_lsc;
};
/// Warnings for an administrator, which name a few of the phones.
std::vector<std::string> warn_of(AuthMode auth, const Hopeless& phones);

}  // namespace capf::service
