#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace capf::phone {

/// The command line as it was given.
struct Options {
  std::string device;
  std::string state;  ///< default var
  std::string server;
  std::string trust;
  std::string auth_string;
  std::string strings;  ///< file with a string for each device
  std::string certificate;
  std::string key;
  std::string folder;
  bool legacy_certificate = false;
  bool discard = false;
  int tries = 5;
  std::uint64_t count = 0;  ///< 0: one phone, `device`
  unsigned concurrency = 1;
  double rate = 0;
  std::string first = "SEP001A00000000";
};

struct ParsedOptions {
  std::optional<Options> options;  ///< absent: print and exit
  int exit_code = 0;
  std::string out;
  std::string error;
};

/// @param words the command line without the program's name.
ParsedOptions parse_options(const std::vector<std::string>& words);

}  // namespace capf::phone
