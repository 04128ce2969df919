#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace capf::daemon {

/// Notices that one of some files was replaced, made or taken away, by their numbers, sizes and times: for those who
/// read them again then. Threads: one.
class Watcher {
 public:
  using Paths = std::vector<std::filesystem::path>;

  explicit Watcher(Paths paths) : Watcher([paths = std::move(paths)] { return paths; }) {}
  /// @param paths is asked each time, because the contents of one file may name others.
  explicit Watcher(std::function<Paths()> paths) : paths_(std::move(paths)) {}

  /// Whether they differ from those of the call before; true where there was none. Call it before they are read: a
  /// change meanwhile is then noticed the next time.
  bool changed();
  /// The next changed() is true: the files could not be read for a reason that is not theirs.
  void forget() { seen_.reset(); }

 private:
  const std::function<Paths()> paths_;
  std::optional<std::string> seen_;
};

}  // namespace capf::daemon
