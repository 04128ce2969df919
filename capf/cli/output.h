#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "capf/base/error.h"
#include "capf/cli/json.h"

namespace capf::cli {

enum class Format : std::uint8_t { kTable, kJson };

struct Column {
  std::string title;  ///< "COMPLETES BY"
  std::string name;   ///< of the member
};

/// Writes a list row by row: one JSON array, or a table whose widths follow from its first thousand rows. Control
/// characters of the server's text never reach a terminal.
class List {
 public:
  List(std::ostream& out, Format format, std::vector<Column> columns);
  void add(Json row);
  /// Call it once, after the last row; without it a JSON array stays open, as the output of a failed command should.
  void finish();

 private:
  void print_rows();

  std::ostream& out_;
  Format format_;
  std::vector<Column> columns_;
  std::vector<std::size_t> widths_;
  std::vector<Json> waiting_;
  bool started_ = false;
};

/// One object: JSON, or a line for each member with those of inner objects indented.
void show(std::ostream& out, Format format, const Json& object);

/// Some values as one line of a table without column widths.
std::string line_of(const std::vector<Json>& values);

/// "capfctl: REASON: words" on standard error. @return the exit code: 3 where the server was not reached, or else 1.
int report(const Error& error);
/// The same for wrong usage. @return 2.
int report_usage(const std::string& words);
/// "capfctl: words" on standard error, for a warning that does not stop the command.
void warn(const std::string& words);

}  // namespace capf::cli
