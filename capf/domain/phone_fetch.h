#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "capf/base/address.h"
#include "capf/base/time.h"

namespace capf {

/// The files that a phone fetched last. It is a hint and proves nothing: anybody can ask for a phone's files.
struct PhoneFetch {
  std::optional<std::int64_t> itl_generation;  ///< absent: none was fetched
  std::optional<std::int64_t> ctl_generation;
  std::optional<std::string> configuration;  ///< its generation
  TimePoint fetched_at{};                    ///< the last one of them
  Address address;                           ///< from where
};

}  // namespace capf
