#include "capf/client/text.h"

#include <cstdio>

#include "capf/base/utf8.h"

namespace capf::client {

bool is_control(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x200E || c == 0x200F || (c >= 0x2028 && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

std::string printable(std::string_view text, Backslash backslash) {
  std::string out;
  while (!text.empty()) {
    const char32_t c = take_code_point(text);
    if (c == U'\\' && backslash == Backslash::kDoubled) {
      out += "\\\\";
    } else if (is_control(c)) {
      char escape[16];
      std::snprintf(escape, sizeof escape, c < 0x80 ? "\\x%02x" : "\\u{%04x}", static_cast<unsigned>(c));
      out += escape;
    } else {
      append_utf8(out, c);
    }
  }
  return out;
}

std::size_t width(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) take_code_point(text);
  return count;
}

}  // namespace capf::client
