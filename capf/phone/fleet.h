#pragma once

#include <functional>
#include <iosfwd>
#include <map>
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

/// Lets every phone of the load come once. `phone_of` and `on_refusal` are called from any thread.
/// @return how long it took.
std::chrono::duration<double> run(const Load& load, const PhoneOf& phone_of, const Folder& folder, KeySource& keys,
                                  Tally& tally, const OnRefusal& on_refusal);

}  // namespace capf::phone
