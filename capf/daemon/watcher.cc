#include "capf/daemon/watcher.h"

#include <cstdint>

#include <sys/stat.h>

namespace capf::daemon {
namespace {

/// A file that is not there has zeros.
std::string stamp_of(const Watcher::Paths& paths) {
  std::string stamp;
  for (const auto& path : paths) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) status = {};
    for (const std::int64_t each :
         {static_cast<std::int64_t>(status.st_ino), static_cast<std::int64_t>(status.st_size),
          static_cast<std::int64_t>(status.st_mtim.tv_sec), static_cast<std::int64_t>(status.st_mtim.tv_nsec)}) {
      stamp += std::to_string(each) + ' ';
    }
  }
  return stamp;
}

}  // namespace

bool Watcher::changed() {
  std::string now = stamp_of(paths_());
  if (seen_ == now) return false;
  seen_ = std::move(now);
  return true;
}

}  // namespace capf::daemon
