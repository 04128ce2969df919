#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "capf/base/error.h"
#include "capf/cli/json.h"

namespace capf::cli {

enum class Format : std::uint8_t { kTable, kWide, kJson, kJsonl, kCsv };

/// The form of what is printed: of the options, and for people of the terminal.
struct Style {
  Style(Format of) : format(of) {}

  Format format;
  std::vector<std::string> columns = {};  ///< of a list, by titles or members; empty: those that it has
  bool headers = true;
  bool local_times = false;  ///< in the zone of the process, where people read
  bool colors = false;
  std::size_t width = 0;  ///< of the terminal; 0: lines may have any length

  bool is_json() const { return format == Format::kJson || format == Format::kJsonl; }
  /// Whether a program reads it, which gets all and never what is only for people.
  bool for_programs() const { return is_json() || format == Format::kCsv; }
  friend bool operator==(const Style& style, Format format) { return style.format == format; }
};

struct Column {
  std::string title;  ///< "COMPLETES BY"
  std::string name;   ///< of the member
  int rank = 0;  ///< where not all fit a terminal, those of the highest rank are left out first, the last one first
};

/// The columns of a list as its command line wants them: those of --columns, or `columns`, and for CSV and a wide table
/// also the other plain members of `row`. Errors: INVALID_REQUEST for one that the rows do not have.
Result<std::vector<Column>> chosen_columns(const Style& style, std::vector<Column> columns, const Json& row);

/// Writes a list row by row: JSON, CSV, or a table whose widths follow from its first thousand rows. On a terminal a
/// table is no wider than that: columns are left out, unless they were asked for, and the last line says which. Control
/// characters of the server's text never reach a terminal.
class List {
 public:
  List(std::ostream& out, Style style, std::vector<Column> columns);
  void add(Json row);
  /// Call it once, after the last row; without it a JSON array stays open, as the output of a failed command should.
  void finish();

 private:
  void add_json(const Json& row);
  void add_csv(const Json& row);
  void print_rows();
  void begin_table(const std::vector<std::vector<std::string>>& rows);
  /// Whether lines are made to fit the terminal; columns that somebody has asked for are all shown, and whole.
  bool fits() const;
  void leave_out_columns();
  void print_line(const std::vector<std::string>& cells, const Json* row);
  std::string words_of_left_out() const;

  std::ostream& out_;
  Style style_;
  std::vector<Column> columns_;
  std::vector<std::size_t> shown_;  ///< positions in `columns_`
  std::vector<std::size_t> widths_;
  std::vector<Json> waiting_;
  bool started_ = false;
};

/// One object: JSON, CSV with a title line, or a line for each member with those of inner objects indented.
void show(std::ostream& out, const Style& style, const Json& object);

/// Some values as one line of a table without column widths, or of CSV.
std::string line_of(const Style& style, const std::vector<Json>& values);

/// "capfctl: REASON: words" on standard error. @param of_server it is the server's answer. @return the exit code: 3
/// where the server was not reached, 2 where the command was refused for its form, or else 1.
int report(const Error& error, bool of_server = false);
/// The same for wrong usage. @return 2.
int report_usage(const std::string& words);
/// "capfctl: words" on standard error, for a warning that does not stop the command.
void warn(const std::string& words);

}  // namespace capf::cli
