#pragma once

#include <string_view>

#include "capf/base/time.h"

namespace capf {

/// The version of this program, as CMake's project() states it: "0.1.0".
std::string_view version();
/// When the build of this program was configured: a clock that shows an earlier time is wrong.
TimePoint built_at();

}  // namespace capf
