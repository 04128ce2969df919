#pragma once

#include <string_view>

namespace capf {

/// Of this program, as CMake's project() states it: "0.1.0".
std::string_view version();

}  // namespace capf
