#pragma once

#include <algorithm>
#include <chrono>

namespace capf::rpc {

/// A ration: so many at once, and some more each second. Pure: the time is an argument. Threads: one at a time.
class Allowance {
 public:
  using Moment = std::chrono::steady_clock::time_point;

  Allowance(int most, int a_second, Moment now) : most_(most), a_second_(a_second), left_(most), since_(now) {}

  /// Takes one. @return false where none is left; then nothing is taken
  bool take(Moment now) {
    const std::chrono::duration<double> passed = now - since_;
    since_ = now;
    left_ = std::min(most_, left_ + passed.count() * a_second_);
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }
  /// Adds some, up to the most that there may be at once.
  void add(int more) { left_ = std::min(most_, left_ + more); }

 private:
  const double most_;
  const double a_second_;
  double left_;
  Moment since_;
};

}  // namespace capf::rpc
