#include "capf/client/text.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "capf/base/utf8.h"

namespace capf::client {
namespace {

using Range = std::pair<char32_t, char32_t>;

constexpr std::array kWide{Range{0x1100, 0x115F},   Range{0x2E80, 0x303E},   Range{0x3041, 0xA4CF},
                           Range{0xAC00, 0xD7A3},   Range{0xF900, 0xFAFF},   Range{0xFE30, 0xFE6F},
                           Range{0xFF00, 0xFF60},   Range{0xFFE0, 0xFFE6},   Range{0x1F300, 0x1F64F},
                           Range{0x1F680, 0x1F6FF}, Range{0x1F900, 0x1F9FF}, Range{0x20000, 0x3FFFD}};
constexpr std::array kCombining{Range{0x0300, 0x036F}, Range{0x1AB0, 0x1AFF}, Range{0x20D0, 0x20FF},
                                Range{0x200B, 0x200D}, Range{0xFE00, 0xFE0F}, Range{0xFE20, 0xFE2F}};

template <class Ranges>
bool is_in(char32_t c, const Ranges& ranges) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [c](const Range& each) { return c >= each.first && c <= each.second; });
}

std::size_t width_of(char32_t c) { return is_in(c, kCombining) ? 0 : is_in(c, kWide) ? 2 : 1; }

}  // namespace

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
  std::size_t columns = 0;
  while (!text.empty()) columns += width_of(take_code_point(text));
  return columns;
}

std::string cut(std::string_view text, std::size_t columns) {
  if (width(text) <= columns) return std::string(text);
  if (columns == 0) return {};
  std::string out;
  std::size_t left = columns - 1;
  while (true) {
    const char32_t c = take_code_point(text);
    if (width_of(c) > left) break;
    left -= width_of(c);
    append_utf8(out, c);
  }
  return out + "…";
}

namespace {

/// The column in which a long line goes on.
std::size_t indent_of(std::string_view line, std::size_t columns) {
  const std::size_t begin = std::min(line.find_first_not_of(' '), line.size());
  const std::size_t gap = line.find("  ", begin);
  const std::size_t text = gap == std::string_view::npos ? gap : line.find_first_not_of(' ', gap);
  return text == std::string_view::npos || text > columns / 2 ? std::min(begin, columns / 2) : text;
}

std::string wrapped_line(std::string_view line, std::size_t columns) {
  const std::size_t indent = indent_of(line, columns);
  std::string lines;
  std::string rest(line);
  while (rest.size() > columns) {
    std::size_t at = rest.rfind(' ', columns);
    if (at == std::string::npos || at <= indent) at = rest.find(' ', columns);
    if (at == std::string::npos) break;
    lines += rest.substr(0, at) + '\n';
    rest = std::string(indent, ' ') + rest.substr(at + 1);
  }
  return lines + rest;
}

}  // namespace

std::string wrapped(std::string_view help, std::size_t columns) {
  std::string lines;
  while (!help.empty()) {
    const std::size_t end = std::min(help.find('\n'), help.size());
    const std::string_view line = help.substr(0, end);
    const bool is_command = line.starts_with("  capf");
    lines += is_command ? std::string(line) : wrapped_line(line, columns);
    if (end < help.size()) lines += '\n';
    help.remove_prefix(std::min(end + 1, help.size()));
  }
  return lines;
}

}  // namespace capf::client
