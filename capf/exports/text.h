#pragma once

#include <string>
#include <string_view>

#include "capf/base/secret.h"

namespace capf::exports {

/// Text that has secrets in it, in memory that is wiped.
class Text {
 public:
  Text& operator<<(std::string_view text) {
    octets_.insert(octets_.end(), text.begin(), text.end());
    return *this;
  }
  Text& operator<<(char c) { return *this << std::string_view(&c, 1); }
  Secret take() { return Secret(std::move(octets_)); }

 private:
  Botan::secure_vector<std::uint8_t> octets_;
};

// Each refuses, with INVALID_REQUEST, what its format cannot say of `what` ("its realm"): octets that are not UTF-8 in
// any case.

/// main/config.c of Asterisk: a line is cut at ';' without a backslash, and blanks at both ends are lost. No other
/// character is special in a value.
Result<std::string> asterisk_value(std::string_view what, std::string_view text);
/// The name of a section, which is held in 80 octets and ends at the first ']'; a list of them has commas.
Result<std::string> asterisk_section(std::string_view what, std::string_view text);
/// The value of an attribute. All of ASCII but letters, digits, '.', '_' and blanks is written as a number, because
/// FreeSWITCH reads a file by lines before it is XML: it expands "$${…}", and drops a line with "X-PRE-PROCESS" in it.
Result<std::string> xml_attribute(std::string_view what, std::string_view text);
/// A literal of PostgreSQL with standard_conforming_strings: a quote is doubled, and a backslash is one.
/// @param characters that the column takes
Result<std::string> sql_literal(std::string_view what, std::string_view text, std::size_t characters);
/// RFC 4180, always in quotes, because an empty cell without them is a null to PostgreSQL. No line breaks: programs
/// that load tables by lines, psql among them, do not see the quotes around one.
Result<std::string> csv_cell(std::string_view what, std::string_view text, std::size_t characters);
/// RFC 8259 7.
Result<std::string> json_string(std::string_view what, std::string_view text);

}  // namespace capf::exports
