#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace capf::client {

/// Whether a terminal may act on the character instead of showing it: C0, DEL, C1, line separators, marks of direction.
bool is_control(char32_t code_point);
/// The treatment of a backslash: it is doubled, so that it is told from an escape, or kept, where the text has escapes
/// of its own, as names of X.509 have.
enum class Backslash : std::uint8_t { kDoubled, kKept };

/// For a terminal: control characters as \x1b or \u{202e}.
std::string printable(std::string_view text, Backslash backslash = Backslash::kDoubled);
/// How many columns of a terminal it takes: two for characters of East Asia and pictures, none for combining marks.
std::size_t width(std::string_view text);
/// The text where it takes so many columns or fewer, or else its beginning with "…" behind it.
std::string cut(std::string_view text, std::size_t columns);
/// The lines of a help in so many columns: what is too long goes on below where the text of its option began, or the
/// line itself. Examples, whose lines are commands, stay as they are.
std::string wrapped(std::string_view help, std::size_t columns);

}  // namespace capf::client
