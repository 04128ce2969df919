#pragma once

#include <algorithm>
#include <chrono>

namespace capf::net {

/// A ration of a resource: a burst at once, and more only as time passes. Pure: the time is an argument.
class Pace {
 public:
  using Moment = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::nanoseconds;

  /// @param burst may be spent at once. @param slowness how long one unit of work lasts on average: 20 is a twentieth.
  constexpr Pace(Duration burst, int slowness) : burst_(burst * slowness), slowness_(slowness) {}

  void spend(Duration work, Moment now) { paid_ = std::max(paid_, now) + work * slowness_; }
  /// When more may be spent; may have passed.
  Moment ready() const { return paid_ - burst_; }

 private:
  Duration burst_;
  int slowness_;
  Moment paid_{};  ///< when everything spent so far is paid for, at that slowness
};

/// How long this thread has worked since it began, without its waits.
std::chrono::nanoseconds thread_work();

}  // namespace capf::net
