#pragma once

#include <string>
#include <utility>
#include <vector>

#include "capf/cli/command.h"

namespace capf::cli {

/// The values that a place of the command line may have.
struct Values {
  std::vector<std::string> choices = {};
  bool files = false;
  std::vector<std::string> names = {};  ///< of things that the server or a file knows: "devices", "contexts"
};

/// A command with everything that may follow it, as the parser knows it.
struct Node {
  std::string name;
  std::vector<std::pair<std::string, Values>> options;  ///< "--auth", and what may be its value
  std::vector<std::string> flags;                       ///< options without a value
  Values arguments;                                     ///< by position
  std::vector<Node> children;
};

struct Parsed {
  const Command* command = nullptr;  ///< null: print `out` and `error` and exit with `exit_code`
  Arguments arguments;
  Arguments place;  ///< the options of the program itself; `operation list` has another --state of its own
  int exit_code = 0;
  std::string out;
  std::string error;
};

/// @param words the command line without the program's name.
Parsed parse(const std::vector<std::string>& words, const std::vector<Command>& commands);
/// The parser's whole tree of commands.
Node command_tree(const std::vector<Command>& commands);

}  // namespace capf::cli
