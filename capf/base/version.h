#pragma once

#include <string_view>

#include "capf/base/time.h"

namespace capf {

/// The version of this program: of a package by tag and commit, "0.1.0+5.g8d3a6c0f1b2c"; else CMake's project(),
/// "0.1.0".
std::string_view version();
/// When the build of this program was configured: a clock that shows an earlier time is wrong.
TimePoint built_at();

}  // namespace capf
