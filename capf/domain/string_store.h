#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "capf/base/error.h"
#include "capf/base/time.h"

namespace capf {

/// Wrong strings of one address that reached a limit.
struct LimitedAddress {
  std::string address_block;
  std::string device;  ///< empty: for all devices
  int strings = 0;
  TimePoint until;  ///< when it may try again
};

class StringStore {
 public:
  virtual ~StringStore() = default;
  /// Addresses that said `strings` or more in all, or used up one device's, those with the most first, at most 1,000.
  virtual Result<std::vector<LimitedAddress>> limited(int strings) = 0;
  /// *address unlock*: clears the counts of the address, for all devices. @return whether there were any.
  virtual Result<bool> unlock_address(const std::string& address_block) = 0;
  /// *phone unlock*: clears the counts of the devices, from every address.
  virtual Status unlock_all(std::span<const std::int64_t> phone_ids) = 0;
  /// Drops counts that are older than their window.
  virtual Status prune() = 0;
};

}  // namespace capf
