#pragma once

#include <string>
#include <utility>
#include <vector>

#include "capf/exports/export.h"

namespace capf::test {

// Readers of what capf/exports writes, by the rules of the programs that read it, and without its code. Text that such
// a program would refuse, or would take for more than values, is an exception.

struct Section {
  std::string name;
  std::string options;  ///< within its parentheses: "!,capf-encrypted"
  std::vector<std::pair<std::string, std::string>> values;
};
/// As config_text_file_load() and process_text_line() of Asterisk's main/config.c read a file.
std::vector<Section> read_asterisk(const std::string& text);

struct Element {
  std::string name;
  std::vector<std::pair<std::string, std::string>> attributes;
};
/// The elements in the order in which they begin, as preprocess() and the parser of FreeSWITCH's switch_xml.c read
/// them.
std::vector<Element> read_freeswitch(const std::string& text);

/// The literals of each statement, and its text with '?' in place of them, as PostgreSQL's scanner parts them.
struct Statement {
  std::string text;
  std::vector<std::string> literals;
};
std::vector<Statement> read_sql(const std::string& text);

/// RFC 4180, where psql ends the data at a line "\.".
std::vector<std::vector<std::string>> read_csv(const std::string& text);

/// Writes the users and reads them back. @return nothing, or what is not as it was meant; a user that is refused must
/// be refused without the others, and is left out.
std::string fault_of(exports::Format format, const std::vector<exports::User>& users);

}  // namespace capf::test
