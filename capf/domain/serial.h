#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "capf/base/bytes.h"
#include "capf/base/error.h"

namespace capf {

/// RFC 5280 4.1.2.2
inline constexpr std::size_t kLongestSerial = 20;

/// The serial number of one of our certificates, big-endian; ordered by its octets. Without heap memory, because a CRL
/// may have a million of them.
class SerialNumber {
 public:
  SerialNumber() = default;
  /// 1 to kLongestSerial octets.
  explicit SerialNumber(BytesView octets) : size_(static_cast<std::uint8_t>(octets.size())) {
    CAPF_INVARIANT(!octets.empty() && octets.size() <= kLongestSerial);
    std::copy(octets.begin(), octets.end(), octets_.begin());
  }
  /// Hexadecimal, also with an odd number of digits; leading zero octets are dropped. Errors: INVALID_SERIAL.
  static Result<SerialNumber> parse(std::string_view text);
  BytesView view() const { return {octets_.data(), size_}; }
  bool operator==(const SerialNumber& other) const = default;
  bool operator<(const SerialNumber& other) const {
    return std::lexicographical_compare(view().begin(), view().end(), other.view().begin(), other.view().end());
  }

 private:
  std::array<std::uint8_t, kLongestSerial> octets_{};
  std::uint8_t size_ = 0;
};

/// Lower-case hexadecimal without leading zero octets, two digits an octet.
std::string serial_text(BytesView serial);

}  // namespace capf
