#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/descriptor.h"
#include "capf/base/error.h"

struct csv_parser;

namespace capf::cli {

inline constexpr std::size_t kMostCellOctets = 65536;
inline constexpr std::size_t kMostColumns = 64;
inline constexpr std::size_t kMostLines = 5'000'000;

struct TableRow {
  std::size_t line = 0;  ///< where it begins, from 1
  std::vector<std::string> cells;
};

/// The side that a table's rows are given to, in the order of the file.
class TableUser {
 public:
  virtual ~TableUser() = default;
  /// Takes the first row, once. An error ends the reading.
  virtual Status take_titles(const TableRow& titles) = 0;
  /// Takes each row after it that has a cell which is not empty.
  virtual void take_row(TableRow row) = 0;
};

/// Reads CSV in UTF-8 (RFC 4180), with or without a byte-order mark, in pieces of any size: one row is in memory. The
/// separator is the first comma, semicolon or tab of the title line. Lines end with LF, CR LF or CR; empty lines are
/// skipped. A row has up to kMostColumns cells of up to kMostCellOctets, a file up to kMostLines lines.
///
/// Errors: INVALID_REQUEST, with the line, and the end of the reading, because nobody knows where the next row begins
/// or how it is encoded.
class TableParser {
 public:
  explicit TableParser(TableUser& user);
  ~TableParser();
  TableParser(const TableParser&) = delete;
  TableParser& operator=(const TableParser&) = delete;

  /// Takes the next octets. Not to be called after an error.
  Status take(std::string_view octets);
  /// Takes the end of the file. Errors: also where there was no title line.
  Status finish();

 private:
  Status begin();
  bool find_separator();
  Status parse(std::string_view octets);
  Status parse_piece(std::string_view piece);
  void take_cell(std::string_view cell);
  void end_row();
  void fault(std::size_t line, const std::string& words);
  Status outcome() const;

  TableUser& user_;
  std::unique_ptr<csv_parser> parser_;
  std::string head_;  ///< until the separator is known
  std::size_t scanned_ = 0;
  bool quoted_ = false;
  bool in_text_ = false;
  std::optional<char> separator_;
  bool begun_ = false;

  std::size_t line_ = 1;  ///< of the next octet
  bool after_cr_ = false;
  bool in_row_ = false;
  bool titled_ = false;
  TableRow row_;
  std::size_t breaks_ = 0;  ///< line breaks inside of the row's cells
  std::optional<std::string> fault_;
};

/// A file of rows on disk, or another source that can be read once ("-": standard input).
class TableFile {
 public:
  /// Errors: INVALID_REQUEST, also for a folder.
  static Result<TableFile> open(const std::string& path);

  /// Reads it from its beginning to its end. Errors: INVALID_REQUEST of the parser; of a file that changed after
  /// open(), because its rows are not those that were checked; of a second read() of what can be read once.
  Status read(TableUser& user);

 private:
  struct State {
    bool regular = false;
    std::int64_t size = 0;
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;
    bool operator==(const State&) const = default;
  };
  TableFile(std::string name, Descriptor file) : name_(std::move(name)), file_(std::move(file)) {}
  Result<State> state() const;
  Status check_unchanged() const;

  std::string name_;
  Descriptor file_;
  State opened_;
  bool read_ = false;
};

/// A title as it is compared: "Device Name" and "device_name" as "devicename".
std::string folded_title(std::string_view title);

/// The text as a cell of CSV that a spreadsheet takes as text. OWASP, CSV injection: a cell that begins with '=', '+',
/// '-',
/// '@', a tab or a line end may be run as a formula, in quotes too. Such a cell gets an apostrophe in front, and so
/// does one with apostrophes in front of such a sign, so that from_spreadsheet() gives back every text.
std::string to_cell(std::string_view text);
/// The text that to_cell() was given, without the quotes of CSV.
std::string_view from_spreadsheet(std::string_view cell);

}  // namespace capf::cli
