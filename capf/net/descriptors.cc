#include "capf/net/descriptors.h"

#include <algorithm>

#include <sys/resource.h>

#include "capf/base/log.h"

namespace capf::net {
namespace {

/// Descriptors for everything else: the database, the other listeners, files.
constexpr int kOtherDescriptors = 256;

}  // namespace

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

int within_descriptors(int connections, std::string_view event) {
  const std::size_t limit = raise_descriptor_limit().now;
  const int left = static_cast<int>(std::min<std::size_t>(limit, 1 << 24)) - kOtherDescriptors;
  if (left >= connections) return connections;
  const int fewer = std::max(1, left);
  log_warning(event, {{"limit", limit}, {"connections", fewer}});
  return fewer;
}

}  // namespace capf::net
