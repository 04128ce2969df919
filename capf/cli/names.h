#pragma once

#include <string>
#include <vector>

#include "capf/cli/connection.h"

namespace capf::cli {

/// The names of things that begin so, for a shell to complete; up to a hundred. A failure gives none, because a shell
/// has no place for words about it. @param things "devices", "profiles", "campaigns", "administrators", "issuers",
/// "contexts", of which the last are a file's
std::vector<std::string> names_of(Connection& server, const std::vector<std::string>& things, const std::string& begin);

}  // namespace capf::cli
