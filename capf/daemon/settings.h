#pragma once

#include <functional>
#include <string>
#include <vector>

#include "capf/daemon/configuration.h"

namespace capf::daemon {

class Section;

/// The form of a setting's value, and the member of the configuration that has it.
struct Kind {
  /// Reads the key. Settings above it in the table, the state directory first, have been read before.
  std::function<void(Section&, const std::string& key, Configuration&)> read;
  /// The value in TOML.
  std::function<std::string(const Configuration&)> write;
  std::string range;   ///< the values that it may have, where its words do not say so: "1 to 500"
  bool table = false;  ///< it is a table of its own, whose lines are the value
};

struct Setting {
  std::string key;
  std::string words;
  Kind kind;
};

/// A table of the file with the settings in it.
struct Group {
  std::string path;  ///< "listen.wire", empty at the top
  std::string words;
  std::vector<Setting> settings;
};

/// Every setting, in the order of the example file. The parser, `check-config --print`, deploy/capfd.toml and
/// deploy/settings.md come from it.
const std::vector<Group>& groups();

}  // namespace capf::daemon
