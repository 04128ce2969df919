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
  int tries = 0;  ///< 0: 5 calls of gRPC, or 4 sessions on the wire
  bool enrol = false;
  bool wire = false;
  int wire_version = 3;
  double key_delay = 0;  ///< seconds
  std::string drop_after;
  bool tls_1_0 = false;
  bool no_sudi = false;
  bool prefer_lsc = false;
  double retry_pause = 30;  ///< seconds
  bool provision = false;
  std::string files;  ///< HOST[:PORT]
  std::string files_tls;
  std::string tvs;
  bool no_https = false;
  int prepared_bits = -1;  ///< of the RSA keys that are made beforehand; 0: none; -1: 2048 on the wire, else none
  std::uint32_t addresses = 1;
  std::uint64_t count = 0;  ///< 0: one phone, `device`
  unsigned concurrency = 1;
  double rate = 0;
  bool keep_connections = false;
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
