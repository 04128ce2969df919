#pragma once

#include <cstddef>
#include <string_view>

namespace capf::net {

struct DescriptorLimit {
  std::size_t now = 0;   ///< how many there may be; 0 where the system does not say
  bool refused = false;  ///< the system refused to raise it
};

/// Raises the limit on open descriptors to the hard one.
DescriptorLimit raise_descriptor_limit();

/// Raises the limit too. @return how many of these connections a listener can have beside everything else that the
/// program opens; fewer than it wants are logged as `event`.
int within_descriptors(int connections, std::string_view event);

}  // namespace capf::net
