#include <catch2/catch.hpp>

#include "capf/cli/digest_add.h"

using namespace capf;
using namespace capf::cli;

namespace {

std::string words_of(const DigestLines& lines) {
  std::string text;
  for (const DigestLine& user : lines.users) {
    text += std::to_string(user.line) + ":" + user.user + "=" + std::string(user.password.text()) + " ";
  }
  return text;
}

}  // namespace

TEST_CASE("digest users come from the command line and from a file, with or without passwords") {
  struct Row {
    const char* words;
    std::vector<std::string> names;
    std::string file;
    std::string expected;
    bool has_passwords;
  };
  const std::vector<Row> rows{
      {"nothing", {}, "", "", false},
      {"names", {"4711", "jörg"}, "", "0:4711= 0:jörg= ", false},
      {"a file of names", {}, "4711\n\n# a remark\n4712\n", "1:4711= 4:4712= ", false},
      {"both", {"4711"}, "4712\n", "0:4711= 1:4712= ", false},
      {"titles", {}, "Password;User\nsecret12;4711\n;4712\n", "2:4711=secret12 3:4712= ", true},
      {"another title", {}, "Digest User\n4711\n", "2:4711= ", false},
      {"a file without titles", {}, "4711,secret12\n", "1:4711=secret12 ", true},
      {"quotes", {}, "\"a, b\",\"pass \"\"word\"\" \"\n", "1:a, b=pass \"word\"  ", true},
      {"a number that a spreadsheet would reckon with",
       {},
       "user,password\n'+4930123,'+secret12\n",
       "2:+4930123='+secret12 ",
       true},
      {"a name that looks like a remark", {}, "user\n\"#1\"\n", "2:#1= ", false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.words);
    const DigestLines lines = read_digest_lines(row.names, row.file);
    CHECK(lines.faults.words().empty());
    CHECK(words_of(lines) == row.expected);
    CHECK(lines.has_passwords == row.has_passwords);
  }
}

TEST_CASE("every fault of a file of digest users is told by its line, and no password is shown") {
  const std::string secret = "s3cret-9Qx!";
  const DigestLines lines = read_digest_lines({"4711"},
                                              "user,password\n"
                                              "4712," +
                                                  secret +
                                                  "\n"
                                                  "a:b," +
                                                  secret +
                                                  "\n"
                                                  "4713," +
                                                  secret + std::string(20, 'x') +
                                                  "\n"
                                                  "4714,short\n"
                                                  "4712," +
                                                  secret +
                                                  "\n"
                                                  "4711\n"
                                                  "," +
                                                  secret +
                                                  "\n"
                                                  "4715,," +
                                                  secret + "\n");
  std::string words;
  for (const std::string& each : lines.faults.words()) words += each + "\n";
  CHECK(lines.faults.count() == 7);
  for (const char* place : {"line 3, the user: ", "line 4, the password: ", "line 5, the password: ",
                            "line 6: the user is named twice, in line 2 too\n", "line 7: the user is named twice\n",
                            "line 8 names no user\n", "line 9, column 3: "}) {
    CAPTURE(place, words);
    CHECK(words.find(place) != std::string::npos);
  }
  CHECK(words.find(secret) == std::string::npos);
  CHECK(words.find("short") == std::string::npos);
}

TEST_CASE("a first row that is taken for titles shows no password either") {
  const DigestLines lines = read_digest_lines({}, "number,s3cret-9Qx!\n4711,other-secret\n");
  REQUIRE(lines.faults.count() > 0);
  for (const std::string& words : lines.faults.words()) CHECK(words.find("s3cret") == std::string::npos);
}
