#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "capf/domain/device.h"

namespace capf {

// Limits of one message, which clients keep to.
inline constexpr int kLargestPage = 1000;          ///< rows
inline constexpr int kPhonesInBatch = 500;         ///< that one transaction of a bulk changes
inline constexpr std::size_t kRunOctets = 16;      ///< random ones that name a bulk
inline constexpr int kMostSerialsAtOnce = 10'000;  ///< serial numbers of a selection
inline constexpr std::size_t kLargestCertificateFile = std::size_t{1024} * 1024;  ///< octets

/// A slice of a list, in the order of the rows' ids, so that rows that come or go do not shift the pages.
struct Page {
  std::int64_t after = 0;  ///< rows with a greater id
  int limit = 100;         ///< 1 to kLargestPage
  bool newest = false;     ///< from the greatest id down: rows with a smaller id than `after`; 0: from the end
};

/// A slice of the phones, which are listed by their names.
struct PhonePage {
  std::optional<DeviceName> after{};  ///< names behind this one
  int limit = 100;                    ///< 1 to kLargestPage
};

}  // namespace capf
