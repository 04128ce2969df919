#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "capf/base/error.h"

namespace capf {

/// UTC, in microseconds, as PostgreSQL keeps it.
using TimePoint = std::chrono::sys_time<std::chrono::microseconds>;
using Duration = std::chrono::microseconds;

/// The present is not before `at`, because `what` was made then: "the last seal".
struct TimeBound {
  TimePoint at{};
  std::string what;
};

/// The only source of time of the services; below them `now` is an argument.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
  /// A lower bound of the present, known from elsewhere; the epoch where there is none.
  virtual TimeBound bound() const { return {}; }
};

/// The machine's clock. Threads: any.
class SystemClock final : public Clock {
 public:
  TimePoint now() const override;
};

/// RFC 3339 in UTC with whole seconds: 2030-12-31T23:59:59Z.
std::string to_rfc3339(TimePoint time);
/// Parses the output of to_rfc3339(), also with a fraction of up to six digits, an offset such as +01:00 in place of Z,
/// or a date alone (its beginning). Years 1970 to 9999. Errors: INVALID_TIME.
Result<TimePoint> parse_rfc3339(std::string_view text);

}  // namespace capf
