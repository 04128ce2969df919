#pragma once

#include <string>

#include "capf/base/error.h"
#include "capf/base/secret.h"

namespace capf::cli {

inline constexpr std::size_t kShortestPassphrase = 12;

/// A new passphrase: asked twice on a terminal, which does not show it, or else the next line of standard input.
/// @param what it protects: "olga.p12". Errors: INVALID_PASSWORD where it is shorter than kShortestPassphrase, or was
/// typed in two ways.
Result<Secret> read_new_passphrase(const std::string& what);

}  // namespace capf::cli
