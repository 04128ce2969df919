#pragma once

#include <cstdint>
#include <string>

#include "capf/base/error.h"

namespace capf {

/// By the database's clock. PostgreSQL ends a transaction that took or holds a lease and then is idle for seconds.
class LeaseStore {
 public:
  virtual ~LeaseStore() = default;
  /// Takes or keeps the lease for `seconds` from now. @return false, without waiting, while another holder has it or a
  /// transaction holds it.
  virtual Result<bool> take(const std::string& name, const std::string& holder, int seconds) = 0;
  /// Keeps a lease that no other holder has taken since; none can take it before this transaction ends.
  /// @return false where another holder took it, even if it was given back: work begun under the lease must not be
  /// finished.
  virtual Result<bool> hold(const std::string& name, const std::string& holder, int seconds) = 0;
  /// Releases the lease at once, if `holder` has it.
  virtual Status give_back(const std::string& name, const std::string& holder) = 0;
  /// How far a job over all certificates is, which the next holder goes on with: the id of the last that it has seen.
  virtual Result<std::int64_t> place(const std::string& job) = 0;
  virtual Status set_place(const std::string& job, std::int64_t certificate_id) = 0;
};

}  // namespace capf
