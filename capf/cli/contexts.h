#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "capf/base/error.h"
#include "capf/cli/command.h"
#include "capf/cli/connection.h"

namespace capf::cli {

/// A site of an administrator who is elsewhere.
struct Context {
  std::string server;  ///< HOST:PORT, or several with commas
  std::string trust;   ///< paths of PEM files
  std::string certificate;
  std::string key;

  bool operator==(const Context&) const = default;
};

/// The sites that the caller has given names, as contexts.toml has them:
///
///     current = "munich"
///     [contexts.munich]
///     server = "capf.example.com:3806"
///     trust = "/home/olga/capf/site-ca.pem"
///     certificate = "/home/olga/capf/olga.pem"
///     key = "/home/olga/capf/olga.key"
struct Contexts {
  std::string current;  ///< empty: none
  std::map<std::string, Context> sites;

  /// Errors: INVALID_CONFIGURATION, with the fault in words.
  static Result<Contexts> parse(std::string_view toml);
  std::string to_toml() const;
};

/// $XDG_CONFIG_HOME/capf/contexts.toml, or ~/.config/capf/contexts.toml; empty where the caller has no home.
std::filesystem::path contexts_file();
/// None where there is no such file. Errors: INVALID_CONFIGURATION, also where somebody else may write it, because it
/// says which servers to trust.
Result<Contexts> read_contexts(const std::filesystem::path& file);
/// Errors: INVALID_REQUEST.
capf::Status write_contexts(const std::filesystem::path& file, const Contexts& contexts);

/// The place that the options of the program name, with what the current context has for the others. A state directory
/// (--state, $CAPF_STATE) names a site by itself, so no context counts beside it. Without all of them it is "var".
Place place_of(const Arguments& options, const Contexts& contexts);

}  // namespace capf::cli
