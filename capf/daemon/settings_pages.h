#pragma once

#include <string>

// The table of settings as an administrator reads it: `capfd check-config --describe`.

namespace capf::daemon {

/// deploy/capfd.toml: every key with its words and its default.
std::string example_file();
/// deploy/settings.md: the same as a page.
std::string settings_page();
/// capfd.toml(5): the same in roff.
std::string settings_manual();

}  // namespace capf::daemon
