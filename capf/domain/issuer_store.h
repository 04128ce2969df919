#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/issuer.h"

namespace capf {

/// The LSCs that are left under an issuer.
struct IssuerUse {
  std::int64_t valid = 0;                ///< LSCs that are neither expired nor revoked for good
  std::int64_t revoked = 0;              ///< revoked ones that have not expired: its CRL needs them
  std::optional<TimePoint> last_expiry;  ///< of the valid ones
};

class IssuerStore {
 public:
  virtual ~IssuerStore() = default;
  /// No other transaction adds, activates or retires one, or writes an LSC by Rounds::write(), before this one ends.
  /// Before activate() and retire(). @return the id that the next one gets.
  virtual Result<std::int64_t> lock() = 0;
  /// @return its id.
  virtual Result<std::int64_t> add(const IssuerRecord& issuer) = 0;
  virtual Result<std::optional<IssuerRecord>> active() = 0;
  virtual Result<std::optional<std::int64_t>> active_id() = 0;
  virtual Result<std::optional<IssuerRecord>> find(std::int64_t id) = 0;
  /// Activates it; the active one becomes a former one. @return false where there is none of this id, or it is retired.
  virtual Result<bool> activate(std::int64_t id) = 0;
  /// @return false where it is active or retired.
  virtual Result<bool> retire(std::int64_t id) = 0;
  /// Counts every row: for an administrator's question, too slow for a job that runs again and again.
  virtual Result<IssuerUse> use(std::int64_t id) = 0;
  virtual Result<std::vector<IssuerRecord>> list() = 0;
};

}  // namespace capf
