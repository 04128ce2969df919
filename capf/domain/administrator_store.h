#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/domain/administrator.h"

namespace capf {

class AdministratorStore {
 public:
  virtual ~AdministratorStore() = default;
  /// @return false where the name or the certificate is taken.
  virtual Result<bool> add(const Administrator& administrator) = 0;
  virtual Result<std::optional<Administrator>> find(const std::string& name) = 0;
  virtual Result<std::optional<Administrator>> find_certificate(const Sha256& sha256) = 0;
  virtual Result<std::vector<Administrator>> list() = 0;
  /// @return false where they are disabled already.
  virtual Result<bool> disable(const std::string& name) = 0;
  /// How many enabled administrators with a certificate that is valid now have the role admin. No other transaction
  /// disables one before this one ends.
  virtual Result<int> lock_admins() = 0;
};

}  // namespace capf
