#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/strings.h"

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
  /// Counts a string before it is compared: for the address, unless it has said this one within the hour, the address
  /// on this device, the device and the operation.
  /// @return nothing where it may be compared; else ADDRESS_LIMITED (then nothing is counted for the device),
  /// AUTH_STRING_LOCKED or AUTH_STRING_EXHAUSTED (the operation's limit is used up: the caller fails it).
  virtual Result<std::optional<Reason>> count(std::int64_t phone_id, std::int64_t operation_id,
                                              const StringTry& said) = 0;
  /// The same for a string that has nothing to be compared with, because there is no such device or operation.
  /// @return nothing or ADDRESS_LIMITED.
  virtual Result<std::optional<Reason>> count_stranger(const StringTry& said) = 0;
  /// Addresses that said `strings` or more in all, or used up one device's, those with the most first, at most 1,000.
  virtual Result<std::vector<LimitedAddress>> limited(int strings) = 0;
  /// *address unlock*: clears the counts of the address, for all devices. @return whether there were any.
  virtual Result<bool> unlock_address(const std::string& address_block) = 0;
  /// A string was right: clears the device's count of the wrong ones. The caller undoes the count of the right one by
  /// rolling its transaction back.
  virtual Status forgive(std::int64_t phone_id) = 0;
  /// *phone unlock*: clears the counts of the device, from every address.
  virtual Status unlock(std::int64_t phone_id) = 0;
  /// Drops counts that are older than their window.
  virtual Status prune() = 0;
};

}  // namespace capf
