#pragma once

#include <chrono>

namespace capf::phone {

/// Waits until then: for pauses between tries and the rate of a load.
void wait_until(std::chrono::steady_clock::time_point time);

}  // namespace capf::phone
