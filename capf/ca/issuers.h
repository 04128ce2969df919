#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "capf/ca/issuer.h"

namespace capf::ca {

/// The generations of the CAPF certificate whose keys this server has. Only the database says which of them is active.
/// Threads: any.
class Issuers {
 public:
  void put(std::shared_ptr<const Issuer> issuer);
  /// Nothing where this server does not have its key.
  std::shared_ptr<const Issuer> find(std::int64_t id) const;
  /// By id.
  std::vector<std::shared_ptr<const Issuer>> all() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::int64_t, std::shared_ptr<const Issuer>> issuers_;
};

}  // namespace capf::ca
