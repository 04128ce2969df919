#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/administrator.h"

namespace capf {

class AdministratorStore {
 public:
  virtual ~AdministratorStore() = default;
  /// @return false where an enabled administrator has the name, or somebody the certificate.
  virtual Result<bool> add(const Administrator& administrator) = 0;
  /// With the current certificate, or else the last one.
  virtual Result<std::optional<Administrator>> find(const std::string& name) = 0;
  virtual Result<std::optional<Administrator>> find_certificate(const Sha256& sha256) = 0;
  virtual Result<std::vector<Administrator>> list() = 0;
  /// With every certificate. @return false where they are disabled already.
  virtual Result<bool> disable(const std::string& name) = 0;
  /// Ends the current certificate, so that add() takes its successor. @return false where the administrator is
  /// disabled.
  virtual Result<bool> end_certificate(const std::string& name, TimePoint ends_at) = 0;
  /// @return false where the administrator is disabled.
  virtual Result<bool> change_role(const std::string& name, Role role) = 0;
  /// How many enabled administrators with a certificate that is valid now have the role admin. No other transaction
  /// adds, renews, changes or disables one before this one ends.
  virtual Result<int> lock() = 0;
};

}  // namespace capf
