#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace capf::cli {

/// The elements of two configurations that differ, in the order of the files: "- <deviceSecurityMode>1</…>" of the
/// first one, "+ …" of the second. Each element without others inside is a line of its own, however the files are
/// broken into lines.
std::vector<std::string> configuration_diff(std::string_view before, std::string_view after);

}  // namespace capf::cli
