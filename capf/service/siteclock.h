#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "capf/base/time.h"

namespace capf::service {

/// The machine's clock, bounded from below by what the site has signed last and by when this program was built: a
/// machine that starts before its clock is set agrees with its database, and both are wrong. Threads: any.
class SiteClock final : public Clock {
 public:
  /// For so long after an administrator has confirmed that the clocks are right, what is on record bounds nothing: time
  /// enough to sign it all again.
  static constexpr std::chrono::minutes kConfirmed{10};

  SiteClock(const Clock& clock, TimePoint built) : clock_(clock), built_(built) {}

  TimePoint now() const override { return clock_.now(); }
  TimeBound bound() const override;
  /// @param what "the last seal". It replaces what was set under that name before.
  void set(const std::string& what, TimePoint at);
  /// A clock was ahead, and is right now.
  void confirm();

 private:
  const Clock& clock_;
  const TimePoint built_;
  mutable std::mutex mutex_;
  std::map<std::string, TimePoint> known_;
  std::optional<std::chrono::steady_clock::time_point> confirmed_;
};

}  // namespace capf::service
