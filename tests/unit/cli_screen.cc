#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>
#include <stdlib.h>

#include "capf/cli/screen.h"
#include "tests/support/folder.h"

using namespace capf;
using namespace capf::cli;

namespace {

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string lines(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "line " + std::to_string(i) + "\n";
  return text;
}

}  // namespace

TEST_CASE("what fits the screen goes to the terminal, and what does not all goes to the pager") {
  const test::Folder folder;
  const auto paged = folder.path() / "paged";
  const std::string pager = "cat >'" + paged.string() + "'";
  std::ostringstream out;
  {
    Screen screen(out, {10, 80}, pager);
    out << lines(9) << std::flush;
    CHECK(out.str().empty());
  }
  CHECK(out.str() == lines(9));
  CHECK_FALSE(std::filesystem::exists(paged));
  out.str("");
  {
    Screen screen(out, {10, 80}, pager);
    for (const char c : lines(200)) out << c;
  }
  CHECK(out.str().empty());
  CHECK(out.good());
  CHECK(contents(paged) == lines(200));
}

TEST_CASE("a line that the terminal wraps counts as several") {
  const test::Folder folder;
  const auto paged = folder.path() / "paged";
  std::ostringstream out;
  {
    Screen screen(out, {4, 20}, "cat >'" + paged.string() + "'");
    out << std::string(100, 'x') << '\n';
  }
  CHECK(contents(paged).size() == 101);
  {
    Screen screen(out, {4, 20}, "true");
    for (int i = 0; i < 3; ++i) out << "\x1b[31m" << std::string(20, 'x') << "\x1b[0m\n";
  }
  CHECK_FALSE(out.str().empty());
}

TEST_CASE("a pager that ends early ends the output, and is no failure") {
  std::ostringstream out;
  Screen screen(out, {5, 80}, "true");
  const std::string much = lines(1000);
  int taken = 0;
  while (out << much) REQUIRE(++taken < 1000);
  CHECK_FALSE(out.good());
  screen.finish();
  CHECK(out.good());
  CHECK(out.str().empty());
}

TEST_CASE("output that is full before the pager stays a failure") {
  std::ofstream full("/dev/full");
  {
    Screen screen(full, {5, 80}, "cat");
    full << "a line\n";
  }
  CHECK_FALSE(full.good());
}

TEST_CASE("the pager is chosen as git chooses it") {
  ::setenv("PAGER", "most -w", 1);
  CHECK(pager() == "most -w");
  for (const char* none : {"", "cat"}) {
    ::setenv("PAGER", none, 1);
    CHECK_FALSE(pager());
  }
  ::unsetenv("PAGER");
  const std::string path = ::getenv("PATH");
  ::setenv("PATH", "/nowhere", 1);
  CHECK_FALSE(pager());
  ::setenv("PATH", path.c_str(), 1);
}
