#pragma once

#include <chrono>
#include <vector>

#include "capf/base/error.h"
#include "capf/domain/security_change.h"

namespace capf {

/// The database writes the changes itself, in the transactions that make them.
class SecurityChangeStore {
 public:
  virtual ~SecurityChangeStore() = default;
  /// Changes after `cursor` that no running transaction can still precede, in order. Errors: CURSOR_EXPIRED where some
  /// of them are deleted already.
  virtual Result<std::vector<SecurityChange>> list(const ChangeCursor& cursor, int limit) = 0;
  /// Looks at the next LSCs and MICs that have ended, at most `limit` of each, and adds a change for each phone whose
  /// mode that concerns. @return how many it looked at of that kind of which there were more
  virtual Result<int> tell_ends(int limit) = 0;
  /// Deletes the first `limit` changes, as far as they are older than `age`. @return how many those were
  virtual Result<int> forget(std::chrono::hours age, int limit) = 0;
};

}  // namespace capf
