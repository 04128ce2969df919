#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include <catch2/catch.hpp>

#include "capf/cli/table.h"
#include "tests/support/folder.h"

using namespace capf;
using namespace capf::cli;
using namespace capf::test;

namespace {

struct Rows final : TableUser {
  Status take_titles(const TableRow& row) override {
    titles = row;
    return {};
  }
  void take_row(TableRow row) override {
    rows.push_back(std::move(row));
    if (on_row) on_row();
  }
  TableRow titles;
  std::vector<TableRow> rows;
  std::function<void()> on_row;
};

/// @param piece octets that are given at once
Status read(std::string_view text, Rows& rows, std::size_t piece = 65536) {
  TableParser parser(rows);
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) CAPF_TRY(parser.take(text.substr(0, piece)));
  return parser.finish();
}

/// The cells of a row with '|' between them, behind its line.
std::string shown(const TableRow& row) {
  std::string text;
  for (const std::string& cell : row.cells) text += '|' + cell;
  return std::to_string(row.line) + ':' + text.substr(1);
}

std::string words_of(std::string_view text, std::size_t piece = 65536) {
  Rows rows;
  const Status status = read(text, rows, piece);
  return status ? "" : status.error().message;
}

std::string in_utf16(std::string_view text) {
  std::string wide;
  for (const char c : text) wide += std::string{c, '\0'};
  return wide;
}

std::string repeated(std::size_t count, std::string_view text) {
  std::string all;
  all.reserve(count * text.size());
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

void write(const std::filesystem::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary | std::ios::app) << text;
}

}  // namespace

TEST_CASE("a table is read with its separator, its line ends and its quotes, in pieces of any size") {
  struct {
    std::string name, text;
    std::vector<std::string> rows;  // titles first
  } const cases[] = {
      {"commas", "a,b\n1,2\n3,4\n", {"1:a|b", "2:1|2", "3:3|4"}},
      {"semicolons", "a;b\n1,5;2\n", {"1:a|b", "2:1,5|2"}},
      {"tabs", "a\tb\n\t2\n", {"1:a|b", "2:|2"}},
      {"a separator in a quoted title", "\"a;b\",c\n1,2\n", {"1:a;b|c", "2:1|2"}},
      {"one column", "a\n1;2\n", {"1:a", "2:1;2"}},
      {"byte-order mark",
       "\xEF\xBB\xBF"
       "a,b\n1,2",
       {"1:a|b", "2:1|2"}},
      {"CR LF", "a,b\r\n1,2\r\n3,4\r\n", {"1:a|b", "2:1|2", "3:3|4"}},
      {"CR alone", "a,b\r1,2\r3,4", {"1:a|b", "2:1|2", "3:3|4"}},
      {"a comma in quotes", "a,b\n\"1,5\",2\n", {"1:a|b", "2:1,5|2"}},
      {"quotes in quotes", "a,b\n\"\"\"x\"\"\",2\n", {"1:a|b", "2:\"x\"|2"}},
      {"line breaks in a cell", "a,b\n\"1\r\n1\n1\",2\n3,4\n", {"1:a|b", "2:1\r\n1\n1|2", "5:3|4"}},
      {"empty lines", "\n  \r\n\na,b\n\n,,\n1,2\n\n", {"4:a|b", "7:1|2"}},
      {"empty cells at the end", "a,b,,\n1,,,\n", {"1:a|b", "2:1"}},
      {"blanks around cells", " a , b \n 1 ,\" 2 \"\n", {"1:a|b", "2:1| 2 "}},
      {"titles alone", "a,b", {"1:a|b"}},
      {"four octets a character", "a\n\xF0\x9F\x93\x9E\n", {"1:a", "2:\xF0\x9F\x93\x9E"}},
  };
  for (const auto& each : cases) {
    for (const std::size_t piece : {1, 2, 3, 7, 65536}) {
      CAPTURE(each.name, piece);
      Rows rows;
      const Status status = read(each.text, rows, piece);
      REQUIRE((status ? "" : status.error().message) == "");
      std::vector<std::string> found{shown(rows.titles)};
      for (const TableRow& row : rows.rows) found.push_back(shown(row));
      CHECK(found == each.rows);
    }
  }
}

TEST_CASE("each fault of a table is one sentence with its line") {
  const std::string utf8 = "save it as UTF-8, which spreadsheets call \"CSV UTF-8\"";
  const std::string quote =
      ": a quote that opens nothing, or that nothing closes; a cell with a quote in it is written \"like "
      "\"\"this\"\"\"";
  const std::string columns = " has more than 64 columns: leave out those that are not needed";
  const std::string cell = " has a cell of more than 64 KiB: perhaps a quote that nothing closes";
  const std::string none = "it has no line with text: the first one must name the columns";
  struct {
    std::string name, text, words;
  } const cases[] = {
      {"nothing", "", none},
      {"empty lines alone", "\r\n\n  \n", none},
      {"an open quote", "a,b\n1,2\n\"3,4\n5,6\n",
       "line 3: a quote is opened here that nothing closes before the end of the file"},
      {"a quote that the next one breaks", "a,b\n\"1,2\n3,\"4\n", "line 2" + quote},
      {"a quote in a cell", "a,b\n1,2\n3\",4\n", "line 3" + quote},
      {"NUL", std::string("a,b\n1,2\n3,\0\n", 12), "line 3 has a NUL octet: this is no text"},
      {"Latin-1", "a,b\n1,2\nM\xFCller,2\n", "line 3 is not UTF-8, but perhaps Latin-1: " + utf8},
      {"Latin-1 in a title", "Ger\xE4t,b\n1,2\n", "line 1 is not UTF-8, but perhaps Latin-1: " + utf8},
      {"Latin-1 behind a line break in a cell", "a,b\n\"1\n1\",\"\n\xFC\"\n",
       "line 4 is not UTF-8, but perhaps Latin-1: " + utf8},
      {"UTF-16 with a mark", "\xFF\xFE" + in_utf16("a,b\n1,2\n"), "it is in UTF-16: " + utf8},
      {"UTF-16 without one", in_utf16("a,b\n1,2\n"), "it is in UTF-16: " + utf8},
      {"65 columns", "a,b\n" + repeated(64, "1,") + "1\n", "line 2" + columns},
      {"10,000 columns", repeated(10'000, "a,") + "a\n", "line 1" + columns},
      {"64 KiB and one octet", "a,b\n1,2\n" + std::string(kMostCellOctets + 1, 'x') + ",2\n", "line 3" + cell},
      {"10 MB in one cell", "a,b\n\"" + repeated(10'000'000, "x") + "\",2\n", "line 2" + cell},
      {"10 MB in one title", repeated(10'000'000, "x"), "line 1" + cell},
      {"a line too many", "a,b\n" + repeated(kMostLines - 1, "\r\n") + "2\n",
       "line 5000001 is one too many: a file has up to 5000000 lines; part it"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.name);
    CHECK(words_of(each.text) == each.words);
    if (each.text.size() < 100'000) CHECK(words_of(each.text, 1) == each.words);
  }
}

TEST_CASE("what is just within the limits is read") {
  Rows columns;
  REQUIRE(read(repeated(63, "a,") + "a\n" + repeated(63, "1,") + "1\n", columns));
  CHECK(columns.rows.at(0).cells.size() == kMostColumns);
  Rows cell;
  REQUIRE(read("a,b\n\"" + std::string(kMostCellOctets, 'x') + "\",2\n", cell));
  CHECK(cell.rows.at(0).cells.at(0).size() == kMostCellOctets);
  Rows lines;
  REQUIRE(read("a\n" + repeated(kMostLines - 1, "\n"), lines));
}

TEST_CASE("an error of the titles' user ends the reading") {
  struct Refuses final : TableUser {
    Status take_titles(const TableRow&) override { return fail(Reason::kInvalidRequest, "no such column"); }
    void take_row(TableRow) override { ++rows; }
    int rows = 0;
  } user;
  TableParser parser(user);
  const Status status = parser.take("a,b\n1,2\n");
  REQUIRE_FALSE(status);
  CHECK(status.error().message == "no such column");
  CHECK(user.rows == 0);
}

TEST_CASE("a table on disk is read as often as wanted, and not when it has changed") {
  const Folder folder;
  const std::string path = (folder.path() / "phones.csv").string();
  write(path, "a,b\n1,2\n3,4\n");
  auto file = TableFile::open(path);
  REQUIRE(file);
  for (int i = 0; i < 2; ++i) {
    Rows rows;
    REQUIRE(file->read(rows));
    CHECK(rows.rows.size() == 2);
  }
  write(path, "5,6\n");
  Rows rows;
  const Status changed = file->read(rows);
  REQUIRE_FALSE(changed);
  CHECK(changed.error().message ==
        path + " was changed while it was read: give the command a copy that nobody writes to");
}

TEST_CASE("a table that grows while it is read ends") {
  const Folder folder;
  const std::string path = (folder.path() / "phones.csv").string();
  write(path, "a,b\n1,2\n");
  auto file = TableFile::open(path);
  REQUIRE(file);
  Rows rows;
  rows.on_row = [&] { write(path, "3,4\n"); };
  CHECK_FALSE(file->read(rows));
  CHECK(rows.rows.size() == 1);
}

TEST_CASE("a folder and a file that is not there are told of") {
  const Folder folder;
  const auto is_folder = TableFile::open(folder.path().string());
  REQUIRE_FALSE(is_folder);
  CHECK(is_folder.error().message == folder.path().string() + " is a folder: name the file in it");
  const std::string absent = (folder.path() / "absent.csv").string();
  const auto none = TableFile::open(absent);
  REQUIRE_FALSE(none);
  CHECK(none.error().message == absent + ": No such file or directory");
}

TEST_CASE("a fault of a table on disk names the file") {
  const Folder folder;
  const std::string path = (folder.path() / "phones.csv").string();
  write(path, "a,b\n\xFC,2\n");
  auto file = TableFile::open(path);
  REQUIRE(file);
  Rows rows;
  const Status status = file->read(rows);
  REQUIRE_FALSE(status);
  CHECK_THAT(status.error().message, Catch::StartsWith(path + ": line 2 is not UTF-8"));
}

TEST_CASE("a spreadsheet finds no formula in a cell, and reading it gives back the text") {
  CHECK(to_cell("Reception") == "Reception");
  CHECK(to_cell("=cmd|' /C calc'!A0") == "'=cmd|' /C calc'!A0");
  CHECK(to_cell("+49 30 1") == "'+49 30 1");
  CHECK(to_cell("-1,5") == "\"'-1,5\"");
  CHECK(to_cell("@SUM(A1)") == "'@SUM(A1)");
  CHECK(to_cell("\t=1") == "\"'\t=1\"");
  CHECK(to_cell("\xEF\xBC\x9D"
                "1") ==
        "'\xEF\xBC\x9D"
        "1");
  CHECK(to_cell("O'Neill") == "O'Neill");
  CHECK(to_cell("say \"hi\"") == "\"say \"\"hi\"\"\"");
  for (const std::string text : {"", "x", "'x", "'", "=1", "'=1", "''=1", "-", "a,b;c\td", "\"", "\"\"", " blank ",
                                 "two\nlines", "\r", "@", "<script>"}) {
    CAPTURE(text);
    Rows rows;
    REQUIRE(read("a,b\n" + to_cell(text) + ",x\n", rows));
    CHECK(from_spreadsheet(rows.rows.at(0).cells.at(0)) == text);
  }
}
