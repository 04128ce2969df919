#pragma once

#include <string>
#include <string_view>

namespace capf::client {

/// Whether a terminal may act on it instead of showing it: C0, DEL, C1, line separators, marks of direction.
bool is_control(char32_t code_point);
/// For a terminal: control characters as \x1b or \u{202e}, a backslash doubled where one is needed to tell them apart.
std::string printable(std::string_view text);
/// How many code points; near enough to columns for what is shown here.
std::size_t width(std::string_view text);

}  // namespace capf::client
