#include "capf/net/descriptors.h"

#include <sys/resource.h>

namespace capf::net {

DescriptorLimit raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
  bool refused = false;
  if (limit.rlim_cur < limit.rlim_max) {
    const rlimit raised{limit.rlim_max, limit.rlim_max};
    refused = ::setrlimit(RLIMIT_NOFILE, &raised) != 0;
    if (!refused) limit = raised;
  }
  return {static_cast<std::size_t>(limit.rlim_cur), refused};
}

}  // namespace capf::net
