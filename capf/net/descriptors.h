#pragma once

#include <cstddef>

namespace capf::net {

struct DescriptorLimit {
  std::size_t now = 0;   ///< how many there may be; 0 where the system does not say
  bool refused = false;  ///< the system refused to raise it
};

/// Raises the limit on open descriptors to the hard one.
DescriptorLimit raise_descriptor_limit();

}  // namespace capf::net
