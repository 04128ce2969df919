#pragma once

#include <string>
#include <vector>

#include "capf/cli/arguments.h"

namespace capf::cli {

/// The words that may stand where the cursor is.
struct Completion {
  std::vector<std::string> words;  ///< that begin like the one that is typed
  bool files = false;              ///< files too, which the shell knows
  std::vector<std::string> names;  ///< of these things too, which the server or a file knows: "devices"
  std::string before;              ///< stands before each name: "--device="
  std::string begin;               ///< of the name that is typed
  Arguments place;                 ///< the program's options on the line, to find the server
};

/// @param words the line without the program's name; the last one is being typed, and may be empty
Completion complete(const Node& root, const std::vector<std::string>& words);

/// A script for this shell, which asks `capfctl completion words`. @param shell bash, zsh or fish
std::string completion_script(const std::string& shell);

}  // namespace capf::cli
