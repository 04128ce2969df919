#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace capf::client {

/// Takes one code point of UTF-8 off the front of `text`, which is not empty; U+FFFD (and one octet) for what is not
/// UTF-8.
char32_t take_code_point(std::string_view& text);
/// Where the first octet stands that does not belong to UTF-8; nothing where the whole text is UTF-8.
std::optional<std::size_t> find_not_utf8(std::string_view text);
void append_utf8(std::string& out, char32_t code_point);
/// Whether a terminal may act on it instead of showing it: C0, DEL, C1, line separators, marks of direction.
bool is_control(char32_t code_point);
/// For a terminal: control characters as \x1b or \u{202e}, a backslash doubled where one is needed to tell them apart.
std::string printable(std::string_view text);
/// How many code points; near enough to columns for what is shown here.
std::size_t width(std::string_view text);

}  // namespace capf::client
