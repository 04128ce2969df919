#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>

#include "capf/cli/phone_rows.h"

using namespace capf;
using namespace capf::cli;

namespace {

struct Imported {
  Status status;
  std::vector<PhoneRow> rows;
  std::vector<RowProblem> problems;
  bool describes = false;

  std::string words() const { return status ? "" : status.error().message; }
};

Imported import(std::string_view text, const ImportOptions& options = {}) {
  Imported imported;
  PhoneRows rows(
      options, [&](PhoneRow row) { imported.rows.push_back(std::move(row)); },
      [&](const RowProblem& problem) { imported.problems.push_back(problem); });
  TableParser parser(rows);
  imported.status = parser.take(text);
  if (imported.status) imported.status = parser.finish();
  imported.describes = rows.has(PhoneSetting::kDescription);
  return imported;
}

std::string read_file(const std::string& name) {
  std::ifstream file(std::string(CAPF_IMPORT) + '/' + name, std::ios::binary);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string repeated(std::size_t count, std::string_view text) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

}  // namespace

TEST_CASE("columns stand in any order, and a row has what they say") {
  const Imported imported =
      import("Tags;Description;MODEL;Device_Name\nberlin  floor-3 berlin;'=1+1;CP-8861;0011.2233.4455\n;;;phone-2\n");
  REQUIRE(imported.words() == "");
  CHECK(imported.problems.empty());
  REQUIRE(imported.rows.size() == 2);
  CHECK(imported.rows[0].line == 2);
  CHECK(imported.rows[0].device == "SEP001122334455");
  CHECK(imported.rows[0].model == "CP-8861");
  CHECK(imported.rows[0].description == "=1+1");
  CHECK(imported.rows[0].tags == std::vector<std::string>{"berlin", "floor-3"});
  CHECK(imported.rows[1].device == "phone-2");
  CHECK(imported.rows[1].tags.empty());
  CHECK(imported.describes);
  CHECK_FALSE(import("device\nSEP1\n").describes);
}

TEST_CASE("a MAC address gets the prefix, and a name keeps its own") {
  ImportOptions options;
  options.prefix = "LAB-";
  const Imported imported = import("mac\n00:11:22:33:44:55\nATA001122334456\n", options);
  REQUIRE(imported.rows.size() == 2);
  CHECK(imported.rows[0].device == "LAB-001122334455");
  CHECK(imported.rows[1].device == "ATA001122334456");
  options.as_written = true;
  CHECK(import("device\n001122334455\n", options).rows.at(0).device == "001122334455");
  CHECK(import("mac\n001122334455\n", options).rows.at(0).device == "LAB-001122334455");
  CHECK(check_prefix("SEP"));
  CHECK(check_prefix(""));
  for (const std::string& bad : {std::string("-"), std::string("S P"), std::string("\xC3\xA9"), std::string(39, 'A')}) {
    CHECK_FALSE(check_prefix(bad));
  }
}

TEST_CASE("what is wrong with the titles is one sentence") {
  const auto left_out = [](const char* column) {
    ImportOptions options;
    REQUIRE(options.columns.ignore(column));
    return options;
  };
  const std::string settings = "(device, mac, model, description, tags), or leave them out by --ignore";
  struct {
    std::string name, text, words;
    ImportOptions options = {};
  } const cases[] = {
      {"unknown columns", "device,Owner,model,Site\nSEP1,,,\n",
       "line 1: unknown columns: \"Owner\", \"Site\"; say what they are by --map COLUMN=SETTING " + settings},
      {"no titles", "SEP001122334455,CP-8861\n",
       "line 1 has a phone and no titles: put a line before it that names the columns, as "
       "device,model,description,tags"},
      {"no device", "\nmodel,tags\n1,2\n", "line 2: no column is called device or mac"},
      {"a title twice", "device,model,Model\nSEP1,a,b\n",
       "line 1: the columns 2 (\"model\") and 3 (\"Model\") both say the model: leave one out by --ignore"},
      {"two titles for one setting", "device,Device Name\nSEP1,SEP2\n",
       "line 1: the columns 1 (\"device\") and 2 (\"Device Name\") both say the device: leave one out by --ignore"},
      {"device and mac", "device,mac\nSEP1,001122334455\n",
       "line 1: the columns 1 (\"device\") and 2 (\"mac\") both say the mac: leave one out by --ignore"},
      {"an ignored column that is not there", "device\nSEP1\n", "line 1: no column is called \"Owner\"",
       left_out("Owner")},
      {"a device that is left out", "device,model\nSEP1,x\n", "line 1: no column is called device or mac",
       left_out("device")},
  };
  for (const auto& each : cases) {
    CAPTURE(each.name);
    const Imported imported = import(each.text, each.options);
    CHECK(imported.words() == each.words);
    CHECK(imported.rows.empty());
  }
}

TEST_CASE("a row with a problem is named with its line, its device and what is wrong, and the others are read") {
  const std::string tag = " is none: it has 1 to 32 letters, digits, '.', '_' or '-'";
  struct {
    std::string name, row, device, words;
  } const cases[] = {
      {"a name twice", "SEP1,,,", "SEP1", "lines 2 and 3 both name it"},
      {"no device", ",x,,", "", "no device is named"},
      {"a bad name", "SEP 9,,,", "SEP 9", "a device name has 1 to 50 letters, digits, '.', '_' or '-'"},
      {"a bad model", "SEP9,#,,", "SEP9",
       "no model: it has up to 50 of A-Z, a-z, 0-9, '.', '_' and '-', and blanks between them"},
      {"a long description", "SEP9,," + repeated(129, "\xF0\x9F\x93\x9E") + ",", "SEP9",
       "the description has 129 characters, of 128 at most"},
      {"a line break", "SEP9,,\"a\nb\",", "SEP9", "the description has a line end or another control character"},
      {"an escape sequence", "SEP9,,\x1b]0;x\x07,", "SEP9",
       "the description has a line end or another control character"},
      {"a bad tag", "SEP9,,,ok n\xC3\xB6", "SEP9", "the tag \"n\xC3\xB6\"" + tag},
      {"a long tag", "SEP9,,," + std::string(33, 'x'), "SEP9", "the tag \"" + std::string(33, 'x') + '"' + tag},
      {"many tags", "SEP9,,,a b c d e f g h i j k l m n o p q", "SEP9", "it has 17 tags, of 16 at most"},
      {"more cells than titles", "SEP9,,Room 1, first floor,x", "SEP9",
       "column 5, \"x\", has no title: a cell with the separator in it is written in quotes"},
      {"the titles again", "device,model,description,tags", "device", "the title line of line 1 again"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.name);
    const Imported imported = import("device,model,description,tags\nSEP1,,,\n" + each.row + "\nSEP2,,,\n");
    REQUIRE(imported.words() == "");
    REQUIRE_FALSE(imported.problems.empty());
    CHECK(imported.problems[0].line == 3);
    CHECK(imported.problems[0].device == each.device);
    CHECK(imported.problems[0].words == each.words);
    CHECK(imported.rows.size() == 2);
  }
  const Imported mac = import("mac\nSEP1\n");
  REQUIRE(mac.problems.size() == 1);
  CHECK(mac.problems[0].words == "this is no MAC address of 12 hexadecimal digits");
}

TEST_CASE("a row may have several problems, and the limits themselves are none") {
  const Imported several = import("device,model,tags\n?,?,?\n");
  CHECK(several.problems.size() == 3);
  const Imported none = import("device,description,tags\nSEP1," + repeated(128, "\xF0\x9F\x93\x9E") + "," +
                               repeated(1, std::string(32, 'x')) + " b c d e f g h i j k l m n o p\n");
  CHECK(none.problems.empty());
  CHECK(none.rows.at(0).tags.size() == 16);
}

TEST_CASE("a problem is a line of CSV that neither a terminal nor a spreadsheet acts on") {
  CHECK(problem_titles() == "line,device,problem\n");
  CHECK(to_line({7, "=cmd|'x'", "a, \"b\""}) == "7,'=cmd|'x',\"a, \"\"b\"\"\"\n");
  CHECK(to_line({7, "\x1b[31m", "x\ny"}) == "7,\\x1b[31m,x\\x0ay\n");
}

TEST_CASE("a column is mapped by its title, before a preset") {
  ImportOptions options;
  REQUIRE(options.columns.map("Ger\xC3\xA4t=device"));
  REQUIRE(options.columns.map("a=b = description"));
  REQUIRE(options.columns.ignore("Owner"));
  REQUIRE(options.columns.add_preset("# preset\n\nOwner = tags\nAbsent = model\r\n Site =\nTags = tags"));
  const Imported imported = import("ger\xC3\xA4t,A=B,Owner,site,tags\nSEP1,room,x,y,z\n", options);
  REQUIRE(imported.words() == "");
  REQUIRE(imported.rows.size() == 1);
  CHECK(imported.rows[0].device == "SEP1");
  CHECK(imported.rows[0].description == "room");
  CHECK(imported.rows[0].tags == std::vector<std::string>{"z"});
}

TEST_CASE("a wrong mapping is told") {
  struct {
    std::string assignment, words;
  } const cases[] = {
      {"Standort", "\"Standort\" is not COLUMN=SETTING"},
      {"Standort=place", "\"place\" is no setting of a phone: there are device, mac, model, description, tags"},
      {"=device", "a column has a title"},
      {"USER_NAME=tags", "the column \"USER_NAME\" is mapped or ignored twice"},
  };
  for (const auto& each : cases) {
    ColumnMap columns;
    REQUIRE(columns.ignore("User Name"));
    const Status mapped = columns.map(each.assignment);
    REQUIRE_FALSE(mapped);
    CHECK(mapped.error().message == each.words);
  }
  const Status preset = ColumnMap().add_preset("# x\nA = model\nB = c\n");
  REQUIRE_FALSE(preset);
  CHECK_THAT(preset.error().message, Catch::StartsWith("line 3: \"c\" is no setting"));
}

TEST_CASE("an export of Cisco's call manager is read with its preset") {
  ImportOptions options;
  REQUIRE(options.columns.add_preset(read_file("cucm.map")));
  const Imported imported = import(read_file("cucm.csv"), options);
  REQUIRE(imported.words() == "");
  CHECK(imported.problems.empty());
  REQUIRE(imported.rows.size() == 7);
  CHECK(imported.rows[1].device == "SEP0C75BD114A02");
  CHECK(imported.rows[1].description == "M\xC3\xBCller, J\xC3\xB6rg (3.14)");
  CHECK(imported.rows[2].description == "Meeting room \"Spree\"");
  CHECK(imported.rows[5].device == "ATA5C838F1E2D30");
  CHECK(imported.rows[5].model == "Cisco ATA 191");
  CHECK(import(read_file("cucm.csv")).words().starts_with("line 1: unknown columns: \"Device Type\", "));
}
