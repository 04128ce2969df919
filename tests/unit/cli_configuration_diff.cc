#include <catch2/catch.hpp>

#include "capf/cli/configuration_diff.h"

using capf::cli::configuration_diff;
using Lines = std::vector<std::string>;

TEST_CASE("equal configurations have no differences, however they are broken into lines") {
  CHECK(configuration_diff("", "").empty());
  CHECK(configuration_diff("<device>\n  <a>1</a>\n</device>\n", "<device><a>1</a></device>").empty());
}

TEST_CASE("elements that differ are told in the order of the files") {
  const char* const before = "<device><a>1</a><mode>1</mode><b>2</b><old/></device>";
  const char* const after = "<device><a>1</a><mode>3</mode><b>2</b>\n<hash></hash>\n</device>";
  CHECK(configuration_diff(before, after) ==
        Lines{"- <mode>1</mode>", "+ <mode>3</mode>", "- <old/>", "+ <hash></hash>"});
  CHECK(configuration_diff(after, before) ==
        Lines{"- <mode>3</mode>", "+ <mode>1</mode>", "- <hash></hash>", "+ <old/>"});
  CHECK(configuration_diff("<a/>", "<a/><b/>") == Lines{"+ <b/>"});
  CHECK(configuration_diff("<a/><b/>", "<b/>") == Lines{"- <a/>"});
}

TEST_CASE("configurations that differ too much for a table are told whole") {
  std::string before;
  std::string after;
  for (int i = 0; i < 5000; ++i) {
    before += "<x" + std::to_string(i) + "/>";
    after += "<y" + std::to_string(i) + "/>";
  }
  const auto found = configuration_diff("<d>" + before + "</d>", "<d>" + after + "</d>");
  REQUIRE(found.size() == 10'000);
  CHECK(found.front() == "- <x0/>");
  CHECK(found.back() == "+ <y4999/>");
}
