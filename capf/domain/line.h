#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/device.h"
#include "capf/domain/mode.h"

namespace capf {

inline constexpr std::size_t kDevicesOfLine = 500;
inline constexpr std::size_t kLinesOfPhone = 100;

/// The name of a line as a call manager has it, mostly its number: 1 to 64 letters, digits, '+', '*', '#', '@', '.',
/// '_' or '-'. Errors: INVALID_NAME.
Status check_line_name(std::string_view name);

/// A line, which up to kDevicesOfLine phones share.
struct Line {
  std::int64_t id = 0;       ///< given by the store
  std::string name;          ///< by check_line_name()
  bool allow_mixed = false;  ///< an administrator wants encrypted and other devices on it
  TimePoint added_at;
  std::string added_by;
};

/// A phone on a line. The mode that its profile asks of it is `facts.profile`.
struct LineMember {
  std::int64_t line_id = 0;
  std::int64_t phone_id = 0;
  std::int64_t profile_id = 0;
  DeviceName device;
  ModeFacts facts;
};

/// A phone on a line, by their names.
struct LineMembership {
  std::string line;
  std::string device;
};

}  // namespace capf
