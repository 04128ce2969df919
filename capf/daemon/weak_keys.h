#pragma once

#include <filesystem>
#include <vector>

#include "capf/ca/blacklist.h"
#include "capf/daemon/watcher.h"

namespace capf::daemon {

/// The site's lists of weak keys, followed as their files change. Threads: one, but for the list.
class WeakKeyFiles {
 public:
  explicit WeakKeyFiles(std::vector<std::filesystem::path> paths) : paths_(std::move(paths)), watcher_(paths_) {}

  /// At the start. Errors: INVALID_CONFIGURATION.
  Status open();
  /// Reads them again where one has changed; where one cannot be used, the list before stays. Call it now and then.
  void tick();
  const ca::Blacklist& list() const { return list_; }

 private:
  Status read();

  const std::vector<std::filesystem::path> paths_;
  Watcher watcher_;
  ca::Blacklist list_;
};

}  // namespace capf::daemon
