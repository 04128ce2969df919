#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "capf/domain/policy.h"

namespace capf {

/// Limits on wrong authentication strings, over all servers, by the database's clock.
inline constexpr int kStringsPerDevice = 10;  ///< then locked for kStringLock
inline constexpr std::chrono::minutes kStringLock{10};
inline constexpr int kStringsPerAddressAndDevice = 5;  ///< in an hour

/// An authentication string that a caller presents, as the limits know it.
struct StringTry {
  std::string address_block;
  std::int64_t string = 0;  ///< part of its keyed hash over device and digits: distinguishes the device's strings
  int per_address = kStringsPerAddress;  ///< the limit of that address in an hour
};

/// A string that a caller presents, after it was compared in constant time and before anything is done with that.
struct HeardString {
  StringTry said;
  /// Not positive where there is no such device, or no operation that asks for a string: then it is a stranger's, which
  /// the address alone counts, and stands for the name, so that strings for one name are heard one after the other.
  std::int64_t phone_id = 0;
  std::int64_t operation_id = 0;
  bool right = false;
};

}  // namespace capf
