#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "capf/base/time.h"

namespace capf::service {

/// The machine's clock, with a lower bound: the last thing that the site has signed and the time when this program was
/// built. Without it, a machine that starts before its clock is set would agree with its own database, and both would
/// be wrong. Threads: any.
class SiteClock final : public Clock {
 public:
  /// For so long after an administrator has confirmed that the clocks are right, the bounds of set() do not apply: time
  /// enough to sign everything again.
  static constexpr std::chrono::minutes kConfirmed{10};

  SiteClock(const Clock& clock, TimePoint built) : clock_(clock), built_(built) {}

  TimePoint now() const override { return clock_.now(); }
  TimeBound bound() const override;
  /// @param what "the last seal". Replaces the bound of that name.
  void set(const std::string& what, TimePoint at);
  /// An administrator confirms that a clock was ahead and is right now.
  void confirm();

 private:
  const Clock& clock_;
  const TimePoint built_;
  mutable std::mutex mutex_;
  std::map<std::string, TimePoint> known_;
  std::optional<std::chrono::steady_clock::time_point> confirmed_;
};

}  // namespace capf::service
