#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/check.h"

namespace capf {

/// The records that the checker reads.
class CheckStore {
 public:
  virtual ~CheckStore() = default;
  /// LSCs that were issued later than `since`, or then and have a greater id than `after`, in this order.
  virtual Result<std::vector<IssuedRecord>> issued(TimePoint since, std::int64_t after, int limit) = 0;
  /// Older ones are in the archive.
  virtual Result<std::optional<TimePoint>> oldest_event() = 0;
};

}  // namespace capf
