#pragma once

#include <string_view>

#include "capf/base/time.h"

namespace capf {

/// Of this program, as CMake's project() states it: "0.1.0".
std::string_view version();
/// When the build of this program was configured: no clock that runs it is right before then.
TimePoint built_at();

}  // namespace capf
