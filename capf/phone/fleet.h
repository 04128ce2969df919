#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>

#include "capf/base/error.h"
#include "capf/phone/tally.h"
#include "capf/phone/visit.h"

namespace capf::phone {

/// The names that follow `first`, counting its last hexadecimal digits: SEP001A00000000, SEP001A00000001, …
/// @return INVALID_DEVICE_NAME where the digits do not reach, or where there are none.
Result<std::string> device_at(const std::string& first, std::uint64_t index);

/// Lines "DEVICE DIGITS", as `capfctl operation schedule` prints them; skips lines whose second word is no
/// authentication string.
std::map<std::string, Secret> parse_strings(std::istream& lines);

struct Load {
  std::string first = "SEP001A00000000";
  std::uint64_t count = 1;
  unsigned concurrency = 1;
  double rate = 0;                ///< phones that become due in a second, and wait from then on; 0: as fast as possible
  bool keep_connections = false;  ///< successive phones of a line share one connection; only over gRPC
};

/// Makes the phone of a device name.
using PhoneOf = std::function<Result<Phone>(const std::string&)>;
using OnRefusal = std::function<void(const std::string&, const Error&)>;

/// The phones of a load as they come, each once. Threads: any, if `tally` and `on_refusal` allow it.
class Arrivals {
 public:
  using Clock = std::chrono::steady_clock;
  struct Arrival {
    Result<std::string> device;  ///< or the error of device_at()
    Clock::time_point due;       ///< the phone waits until then, and its visit is measured from then on
  };
  Arrivals(const Load& load, Tally& tally, const OnRefusal& on_refusal)
      : load_(load), tally_(tally), on_refusal_(on_refusal) {}

  /// The next phone; nothing after the last one.
  std::optional<Arrival> next();
  /// Counts the phone's visit, and reports its refusal.
  void finish(const Arrival& arrival, const Status& visited) const;
  /// The time since the load began.
  std::chrono::duration<double> elapsed() const { return Clock::now() - begin_; }

 private:
  const Load& load_;
  Tally& tally_;
  const OnRefusal& on_refusal_;
  const Clock::time_point begin_ = Clock::now();
  std::atomic<std::uint64_t> next_{0};
};

/// Lets every phone of the load come once. `phone_of` and `on_refusal` are called from any thread.
/// @return how long it took.
std::chrono::duration<double> run(const Load& load, const PhoneOf& phone_of, const Folder& folder, KeySource& keys,
                                  Tally& tally, const OnRefusal& on_refusal);

}  // namespace capf::phone
