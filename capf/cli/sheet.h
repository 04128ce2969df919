#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace capf::cli {

/// Faults of an input file: the first ones in words, and how many there are.
class Faults {
 public:
  void add(std::string words);
  /// The same with the place and the value, which is cut off where it is long: `line 7, column 2, "MÜller": words`.
  void add(std::size_t line, std::size_t column, std::string_view value, std::string_view words);
  /// From now on no value is named, because some are secret.
  void conceal() { conceals_ = true; }
  const std::vector<std::string>& words() const { return words_; }
  std::size_t count() const { return count_; }

 private:
  std::vector<std::string> words_;
  std::size_t count_ = 0;
  bool conceals_ = false;
};

/// A column that the file may have. Titles are compared without case, blanks, '-' and '_'.
struct SheetColumn {
  std::string name;                      ///< "device"
  std::vector<std::string> others = {};  ///< other titles for it
};

struct Sheet {
  struct Row {
    std::size_t line = 0;            ///< where it begins, from 1
    std::vector<std::string> cells;  ///< one for each column that may be there, "" where the row has none
  };
  std::vector<Row> rows;
  std::vector<std::size_t> places;  ///< of each column that may be there: its number in the file, from 1; 0: not there
  Faults faults;                    ///< where there are any, some rows are missing
};

/// Reads CSV in UTF-8, with or without a byte-order mark: RFC 4180, with a comma, a semicolon or a tab between the
/// cells, whichever is the first in the first row. Skips empty lines and lines that begin with '#'. Where the first row
/// has titles, they name the columns, and a title that is none of `columns` is a fault; otherwise the columns are
/// `columns` in their order. Every row needs a value for the first of `columns`.
/// @param secret the faults name no values
Sheet read_sheet(std::string_view text, std::span<const SheetColumn> columns, bool secret = false);

}  // namespace capf::cli
