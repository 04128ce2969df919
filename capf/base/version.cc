#include "capf/base/version.h"

namespace capf {

std::string_view version() { return CAPF_VERSION; }

TimePoint built_at() { return TimePoint(std::chrono::seconds{CAPF_BUILT_AT}); }

}  // namespace capf
