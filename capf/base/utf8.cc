#include "capf/base/utf8.h"

#include <algorithm>
#include <array>

namespace capf {

// RFC 3629 4
//    UTF8-2 = %xC2-DF UTF8-tail
//    UTF8-3 = %xE0 %xA0-BF UTF8-tail / %xE1-EC 2( UTF8-tail ) / %xED %x80-9F UTF8-tail / %xEE-EF 2( UTF8-tail )
//    UTF8-4 = %xF0 %x90-BF 2( UTF8-tail ) / %xF1-F3 3( UTF8-tail ) / %xF4 %x80-8F 2( UTF8-tail )
char32_t take_code_point(std::string_view& text) {
  const auto lead = static_cast<unsigned char>(text.front());
  if (lead < 0x80) {
    text.remove_prefix(1);
    return lead;
  }
  const std::size_t length = lead >= 0xC2 && lead <= 0xDF   ? 2
                             : lead >= 0xE0 && lead <= 0xEF ? 3
                             : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                            : 1;
  constexpr std::array<char32_t, 5> kSmallest{0, 0, 0x80, 0x800, 0x10000};
  char32_t code_point = length == 2 ? lead & 0x1FU : length == 3 ? lead & 0x0FU : lead & 0x07U;
  bool ok = length > 1 && text.size() >= length;
  for (std::size_t i = 1; ok && i < length; ++i) {
    const auto tail = static_cast<unsigned char>(text[i]);
    ok = (tail & 0xC0U) == 0x80;
    code_point = (code_point << 6U) | (tail & 0x3FU);
  }
  ok = ok && code_point >= kSmallest[length] && code_point <= 0x10FFFF && (code_point < 0xD800 || code_point > 0xDFFF);
  text.remove_prefix(ok ? length : 1);
  return ok ? code_point : kReplacementCharacter;
}

std::optional<std::size_t> find_not_utf8(std::string_view text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view before = rest;
    // U+FFFD itself is three octets.
    if (take_code_point(rest) == kReplacementCharacter && before.size() - rest.size() == 1)
      return text.size() - before.size();
  }
  return std::nullopt;
}

void append_utf8(std::string& out, char32_t c) {
  const auto tail = [&](unsigned shift) { out += static_cast<char>(0x80U | ((c >> shift) & 0x3FU)); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0U | (c >> 6U));
    tail(0);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0U | (c >> 12U));
    tail(6), tail(0);
  } else {
    out += static_cast<char>(0xF0U | (c >> 18U));
    tail(12), tail(6), tail(0);
  }
}

std::string_view cut(std::string_view text, std::size_t octets) {
  std::string_view rest = text;
  std::size_t end = 0;
  while (!rest.empty()) {
    take_code_point(rest);
    const std::size_t next = text.size() - rest.size();
    if (next > octets) break;
    end = next;
  }
  return text.substr(0, end);
}

std::string_view cut_characters(std::string_view text, std::size_t characters) {
  std::string_view rest = text;
  for (; characters > 0 && !rest.empty(); --characters) take_code_point(rest);
  return text.substr(0, text.size() - rest.size());
}

std::size_t characters_of(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) take_code_point(text);
  return count;
}

std::string lower_case(std::string text) {
  for (char& c : text) c = lower_case(c);
  return text;
}

bool equal_without_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char left, char right) { return lower_case(left) == lower_case(right); });
}

}  // namespace capf
