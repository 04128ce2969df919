#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "capf/base/error.h"
#include "capf/domain/device.h"
#include "capf/domain/phone_fetch.h"

namespace capf {

/// The files that phones fetched last.
class PhoneFetchStore {
 public:
  virtual ~PhoneFetchStore() = default;
  /// A generation that is absent stays as it was. Devices that are not on record are left out.
  virtual Status record(const std::map<DeviceName, PhoneFetch>& fetches) = 0;
  virtual Result<std::optional<PhoneFetch>> of_phone(std::int64_t phone_id) = 0;
  /// The number of phones whose last ITL is older than this generation; `most` of them at most.
  virtual Result<std::int64_t> count_behind(std::int64_t itl_generation, int most) = 0;
};

}  // namespace capf
