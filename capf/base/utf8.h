#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace capf {

/// U+FFFD, for an octet that is not UTF-8.
inline constexpr char32_t kReplacementCharacter = 0xFFFD;

/// Takes one code point of UTF-8 off the front of `text`, which is not empty; U+FFFD (and one octet) where it is not
/// UTF-8.
char32_t take_code_point(std::string_view& text);
/// The position of the first octet that is not UTF-8; nothing where the whole text is UTF-8.
std::optional<std::size_t> find_not_utf8(std::string_view text);
void append_utf8(std::string& out, char32_t code_point);
/// The beginning of `text` that has at most `octets` octets, cut between characters.
std::string_view cut(std::string_view text, std::size_t octets);
/// The beginning of `text` that has at most `characters` characters; an octet that is not UTF-8 counts as one.
std::string_view cut_characters(std::string_view text, std::size_t characters);
/// How many characters `text` has, counted likewise.
std::size_t characters_of(std::string_view text);

/// A to Z in lower case; every other octet as it is.
constexpr char lower_case(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
std::string lower_case(std::string text);
/// Whether two texts are the same but for the case of A to Z.
bool equal_without_case(std::string_view a, std::string_view b);

}  // namespace capf
