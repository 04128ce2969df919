#pragma once

#include <string>

#include "capf/cli/arguments.h"

namespace capf::cli {

/// A completion script for bash that knows every command, option and choice of the tree.
std::string bash_completion(const Node& root);

}  // namespace capf::cli
