#pragma once

#include <cstddef>

namespace capf::net {

/// Raises the limit on open descriptors to the hard one. @return how many there may be now.
std::size_t raise_descriptor_limit();

}  // namespace capf::net
