#include "capf/exports/text.h"

#include <algorithm>
#include <array>

#include "capf/base/utf8.h"

namespace capf::exports {
namespace {

constexpr std::size_t kSectionOctets = 79;
constexpr std::size_t kAsteriskLine = 8000;  // Asterisk reads 8191 octets
constexpr std::size_t kXmlAttribute = 1900;  // FreeSWITCH read lines of 2047 octets until 1.6

tl::unexpected<Error> refuse(std::string_view what, std::string_view fault) {
  return fail(Reason::kInvalidRequest, std::string(what) + ' ' + std::string(fault));
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
bool has_controls(std::string_view text) { return std::any_of(text.begin(), text.end(), is_control); }
bool has_any(std::string_view text, std::string_view characters) {
  return text.find_first_of(characters) != std::string_view::npos;
}

Status check_utf8(std::string_view what, std::string_view text) {
  if (find_not_utf8(text)) return refuse(what, "is not UTF-8");
  return {};
}

Status check_column(std::string_view what, std::string_view text, std::size_t characters) {
  CAPF_TRY(check_utf8(what, text));
  if (text.find('\0') != std::string_view::npos) return refuse(what, "has a NUL, which no column takes");
  if (cut_characters(text, characters).size() != text.size()) {
    return refuse(what, "has more than the " + std::to_string(characters) + " characters that the column takes");
  }
  return {};
}

/// The text in quotes, with each quote in it doubled.
std::string quoted(std::string_view text, char quote) {
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote) out += quote;
    out += c;
  }
  return out += quote;
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
         c == ' ' || static_cast<unsigned char>(c) >= 0x80;
}

/// XML 1.0 2.2 has neither.
bool has_noncharacters(std::string_view text) {
  return text.find("\xEF\xBF\xBE") != std::string_view::npos || text.find("\xEF\xBF\xBF") != std::string_view::npos;
}

}  // namespace

Result<std::string> asterisk_value(std::string_view what, std::string_view text) {
  CAPF_TRY(check_utf8(what, text));
  if (has_controls(text)) return refuse(what, "has a line break or another control character");
  if (text.empty() || text.front() == ' ' || text.back() == ' ') {
    return refuse(what, "is empty, or begins or ends with a blank");
  }
  std::string out;
  for (const char c : text) {
    if (c == ';') out += '\\';
    out += c;
  }
  if (out.size() > kAsteriskLine) return refuse(what, "is too long for a line");
  return out;
}

Result<std::string> asterisk_section(std::string_view what, std::string_view text) {
  CAPF_LET(std::string out, asterisk_value(what, text));
  if (has_any(text, "[],")) return refuse(what, "has '[', ']' or ',', and names a section");
  if (text.size() > kSectionOctets) return refuse(what, "has more than the 79 octets that a section's name takes");
  return out;
}

Result<std::string> xml_attribute(std::string_view what, std::string_view text) {
  CAPF_TRY(check_utf8(what, text));
  if (has_controls(text) || has_noncharacters(text))
    return refuse(what, "has a line break or another control character");
  std::string out;
  for (const char c : text) out += is_plain(c) ? std::string(1, c) : "&#" + std::to_string(int{c}) + ';';
  if (out.size() > kXmlAttribute) return refuse(what, "is too long for a line");
  return out;
}

Result<std::string> sql_literal(std::string_view what, std::string_view text, std::size_t characters) {
  CAPF_TRY(check_column(what, text, characters));
  return quoted(text, '\'');
}

Result<std::string> csv_cell(std::string_view what, std::string_view text, std::size_t characters) {
  CAPF_TRY(check_column(what, text, characters));
  if (has_any(text, "\r\n")) return refuse(what, "has a line break");
  return quoted(text, '"');
}

Result<std::string> json_string(std::string_view what, std::string_view text) {
  CAPF_TRY(check_utf8(what, text));
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out(1, '"');
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (is_control(c)) {
      out +=
          std::string("\\u00") + kHex[static_cast<unsigned char>(c) >> 4U] + kHex[static_cast<unsigned char>(c) & 15U];
    } else {
      out += c;
    }
  }
  return out += '"';
}

}  // namespace capf::exports
