#include "capf/cli/sheet.h"

#include <algorithm>
#include <array>
#include <memory>
#include <new>
#include <optional>

#include <csv.h>

#include "capf/base/utf8.h"
#include "capf/cli/table.h"
#include "capf/client/text.h"

namespace capf::cli {
namespace {

constexpr std::size_t kFaultsInWords = 20;
constexpr std::size_t kLongestValue = 40;  // in code points
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Titles of spreadsheets about phones. A first row with one of them is a title row, not a phone.
constexpr std::array<std::string_view, 24> kUsualTitles{
    "name", "phone",      "phonename", "phonetype", "device",      "devicename", "devicetype",   "type",
    "mac",  "macaddress", "model",     "product",   "description", "comment",    "location",     "site",
    "user", "username",   "owner",     "extension", "number",      "serial",     "serialnumber", "ip"};

std::string shortened(std::string_view value) {
  const std::string_view shown = cut_characters(value, kLongestValue);
  return std::string(shown) + (shown.size() < value.size() ? "..." : "");
}

bool is_usual_title(const std::string& cell) {
  return std::find(kUsualTitles.begin(), kUsualTitles.end(), folded_title(cell)) != kUsualTitles.end();
}

bool is_title_of(const SheetColumn& column, const std::string& cell) {
  const std::string title = folded_title(cell);
  return title == folded_title(column.name) ||
         std::any_of(column.others.begin(), column.others.end(),
                     [&](const std::string& other) { return title == folded_title(other); });
}

std::size_t line_at(std::string_view text, std::size_t offset) {
  return 1 +
         static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n'));
}

/// Why the text cannot be read at all.
std::optional<std::string> wrong_encoding(std::string_view text) {
  constexpr const char* kSaveAs = ": save it as UTF-8, which spreadsheets call \"CSV UTF-8\"";
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF") || text.find('\0') != std::string_view::npos) {
    return std::string("it is in UTF-16, or no text") + kSaveAs;
  }
  if (const auto at = find_not_utf8(text)) {
    return "line " + std::to_string(line_at(text, *at)) + " is not UTF-8, but perhaps Latin-1" + kSaveAs;
  }
  return std::nullopt;
}

/// The line with its end: CR LF, LF, or CR alone.
std::string_view take_line(std::string_view& text) {
  std::size_t length = text.find_first_of("\r\n");
  if (length == std::string_view::npos) {
    length = text.size();
  } else {
    length += text.substr(length, 2) == "\r\n" ? 2 : 1;
  }
  const std::string_view line = text.substr(0, length);
  text.remove_prefix(length);
  return line;
}

/// A comma, a semicolon or a tab: the first one outside of quotes.
unsigned char separator_of(std::string_view line) {
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') quoted = !quoted;
    if (!quoted && (c == ',' || c == ';' || c == '\t')) return static_cast<unsigned char>(c);
  }
  return ',';
}

/// libcsv, fed line by line, so that the line at which each row begins is known.
class Reader {
 public:
  explicit Reader(Faults& faults) : faults_(faults) { begin(); }
  ~Reader() { csv_free(&parser_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  /// A row that is none costs its first line: reading goes on behind that, so that one quote hides no other fault.
  std::vector<Sheet::Row> read(std::string_view text) {
    bool first = true;
    for (std::size_t number = 1;; ++number) {
      if (text.empty()) {
        if (csv_fini(&parser_, take_cell, end_row, this) == 0) break;
        if (!recover(text, number)) break;
        continue;
      }
      const std::string_view line = take_line(text);
      if (!in_row_) {
        const auto begin = line.find_first_not_of(" \t\r\n");
        if (begin == std::string_view::npos || line[begin] == '#') continue;
        if (first) csv_set_delim(&parser_, separator_of(line));
        first = false;
        row_.line = number;
        in_row_ = true;
        rest_ = text;
      }
      if (csv_parse(&parser_, line.data(), line.size(), take_cell, end_row, this) == line.size()) continue;
      if (!recover(text, number)) break;
    }
    return std::move(rows_);
  }

 private:
  /// Reports the fault of the row, and goes back to the line behind its first one. @return whether to go on.
  bool recover(std::string_view& text, std::size_t& number) {
    if (csv_error(&parser_) == CSV_ENOMEM) {
      faults_.add("line " + std::to_string(row_.line) + ": out of memory");
      return false;
    }
    faults_.add("line " + std::to_string(row_.line) +
                ": a quote that opens nothing, or that nothing closes; a cell with a quote in it is written "
                "\"like \"\"this\"\"\"");
    const unsigned char separator = csv_get_delim(&parser_);
    csv_free(&parser_);
    begin();
    csv_set_delim(&parser_, separator);
    text = rest_;
    number = row_.line;
    row_ = {};
    in_row_ = false;
    return true;
  }

  void begin() {
    if (csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI) != 0) throw std::bad_alloc();
  }

  static void take_cell(void* data, std::size_t size, void* self) {
    static_cast<Reader*>(self)->row_.cells.emplace_back(static_cast<const char*>(data), size);
  }

  static void end_row(int /*c*/, void* self) {
    Reader& reader = *static_cast<Reader*>(self);
    const auto& cells = reader.row_.cells;
    const bool empty = std::all_of(cells.begin(), cells.end(), [](const std::string& cell) { return cell.empty(); });
    if (!empty) reader.rows_.push_back(std::move(reader.row_));
    reader.row_ = {};
    reader.in_row_ = false;
  }

  csv_parser parser_{};
  Faults& faults_;
  std::vector<Sheet::Row> rows_;
  Sheet::Row row_;
  bool in_row_ = false;
  std::string_view rest_;  ///< behind the row's first line
};

std::string names_of(std::span<const SheetColumn> columns) {
  std::string names;
  for (const SheetColumn& column : columns) names += (names.empty() ? "" : ", ") + column.name;
  return names;
}

/// For each cell of the title row, the index of its column in `columns`.
std::vector<std::optional<std::size_t>> read_titles(Sheet& sheet, const Sheet::Row& titles,
                                                    std::span<const SheetColumn> columns) {
  std::vector<std::optional<std::size_t>> known;
  for (std::size_t i = 0; i < titles.cells.size(); ++i) {
    const std::string& cell = titles.cells[i];
    const auto column =
        std::find_if(columns.begin(), columns.end(), [&](const SheetColumn& each) { return is_title_of(each, cell); });
    known.emplace_back();
    if (column == columns.end()) {
      if (!cell.empty())
        sheet.faults.add(titles.line, i + 1, cell, "an unknown column; known are " + names_of(columns));
      continue;
    }
    const auto index = static_cast<std::size_t>(column - columns.begin());
    if (sheet.places[index] != 0) {
      sheet.faults.add(titles.line, i + 1, cell,
                       "column " + std::to_string(sheet.places[index]) + " is the " + column->name + " already");
      continue;
    }
    known.back() = index;
    sheet.places[index] = i + 1;
  }
  if (sheet.places.front() == 0) {
    sheet.faults.add("line " + std::to_string(titles.line) + ": no column is called " + columns.front().name);
  }
  return known;
}

}  // namespace

void Faults::add(std::string words) {
  if (++count_ <= kFaultsInWords) words_.push_back(std::move(words));
}

void Faults::add(std::size_t line, std::size_t column, std::string_view value, std::string_view words) {
  const std::string named = conceals_ ? "" : ", \"" + shortened(value) + '"';
  add("line " + std::to_string(line) + ", column " + std::to_string(column) + named + ": " + std::string(words));
}

Sheet read_sheet(std::string_view text, std::span<const SheetColumn> columns, bool secret) {
  Sheet sheet;
  if (secret) sheet.faults.conceal();
  sheet.places.resize(columns.size());
  if (auto words = wrong_encoding(text)) {
    sheet.faults.add(*std::move(words));
    return sheet;
  }
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::vector<Sheet::Row> rows = Reader(sheet.faults).read(text);

  const bool titled =
      !rows.empty() && std::any_of(rows[0].cells.begin(), rows[0].cells.end(), [&](const std::string& cell) {
        return is_usual_title(cell) || std::any_of(columns.begin(), columns.end(),
                                                   [&](const SheetColumn& each) { return is_title_of(each, cell); });
      });
  std::vector<std::optional<std::size_t>> known;
  const std::size_t faults = sheet.faults.count();
  if (titled) {
    known = read_titles(sheet, rows.front(), columns);
    rows.erase(rows.begin());
  } else {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      known.emplace_back(i);
      sheet.places[i] = i + 1;
    }
  }
  if (sheet.faults.count() > faults) return sheet;  // every row would repeat it

  for (Sheet::Row& row : rows) {
    std::vector<std::string> cells(columns.size());
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      if (i < known.size() && known[i]) {
        cells[*known[i]] = std::move(row.cells[i]);
      } else if (!row.cells[i].empty()) {
        sheet.faults.add(row.line, i + 1, row.cells[i],
                         "nothing says what this is: the columns are " + names_of(columns) +
                             ", or as the titles in "
                             "the first line say");
      }
    }
    if (cells.front().empty()) {
      sheet.faults.add("line " + std::to_string(row.line) + " names no " + columns.front().name);
      continue;
    }
    sheet.rows.push_back({row.line, std::move(cells)});
  }
  return sheet;
}

}  // namespace capf::cli
