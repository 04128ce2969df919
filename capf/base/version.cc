#include "capf/base/version.h"

namespace capf {

std::string_view version() { return CAPF_VERSION; }

}  // namespace capf
