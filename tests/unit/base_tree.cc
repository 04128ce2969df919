#include <filesystem>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include "capf/base/tree.h"
#include "tests/support/folder.h"

using namespace capf;
namespace fs = std::filesystem;

namespace {

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

unsigned mode_of(const fs::path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777U : 0;
}

/// A folder, whose files one round after the other writes.
struct Round {
  explicit Round(const fs::path& folder) : tree(Tree::open(folder).value()) {}
  void put(const std::string& name, const std::string& text, const std::string& generation = "1") {
    REQUIRE(tree.put(name, generation, as_bytes(text), true));
  }
  int finish() {
    return tree.finish([](const std::string&) { return true; }).value();
  }
  Tree tree;
};

}  // namespace

TEST_CASE("a tree has what was put, with the permissions of files for one group, whatever the umask is") {
  const test::Folder folder;
  const mode_t before = ::umask(077);
  Round round(folder.path());
  round.put("a.xml", "words");
  REQUIRE(round.tree.put("German/large", "2", as_bytes("one "), false));
  REQUIRE(round.tree.put("German/large", "2", as_bytes("two"), true));
  CHECK(round.finish() == 0);
  ::umask(before);
  CHECK(text_of(folder.path() / "a.xml") == "words");
  CHECK(text_of(folder.path() / "German/large") == "one two");
  CHECK(mode_of(folder.path() / "a.xml") == 0640);
  CHECK(mode_of(folder.path() / "German") == 0750);
  CHECK(round.tree.written() == 2);
}

TEST_CASE("a second round removes what is no more, and nothing that is not ours") {
  const test::Folder folder;
  {
    Round round(folder.path());
    for (const char* name : {"a", "b", "c/d"}) round.put(name, name);
    round.finish();
  }
  std::ofstream(folder.path() / "somebody's") << "x";
  const auto changed_at = fs::last_write_time(folder.path() / "a") - std::chrono::hours(1);
  fs::last_write_time(folder.path() / "a", changed_at);
  Round round(folder.path());
  CHECK(round.tree.has("b", "1"));
  CHECK_FALSE(round.tree.has("b", "2"));
  CHECK_FALSE(round.tree.has("somebody's", "1"));
  round.tree.keep("b");
  round.tree.keep("never there");
  round.put("a", "a");
  CHECK(round.finish() == 1);
  CHECK(fs::last_write_time(folder.path() / "a") == changed_at);  // it was not written again
  CHECK(round.tree.written() == 0);
  CHECK(fs::exists(folder.path() / "b"));
  CHECK_FALSE(fs::exists(folder.path() / "c/d"));
  CHECK(fs::exists(folder.path() / "somebody's"));
}

TEST_CASE("a round that covers a part leaves the others, and knows them the next time") {
  const test::Folder folder;
  {
    Round round(folder.path());
    round.put("a1", "x");
    round.put("b1", "x");
    round.finish();
  }
  {
    Round round(folder.path());
    round.put("a2", "x");
    CHECK(round.tree.finish([](const std::string& name) { return name.starts_with('a'); }).value() == 1);
  }
  CHECK(fs::exists(folder.path() / "b1"));
  CHECK(Round(folder.path()).finish() == 2);
}

TEST_CASE("a manifest of many lines is read and written in parts") {
  const test::Folder folder;
  constexpr int kNames = 4000;  // of 40 octets: more than two blocks
  const auto name = [](int number) { return "SEP" + std::to_string(100000 + number) + std::string(31, 'x'); };
  {
    Round round(folder.path());
    for (int number = 0; number < kNames; ++number) round.put(name(number), "x", std::to_string(number));
    CHECK(round.finish() == 0);
  }
  {
    Round round(folder.path());
    for (int number = 0; number < kNames; ++number) {
      if (!round.tree.has(name(number), std::to_string(number))) FAIL(number);
      if (number % 2 == 0) round.tree.keep(name(number));
    }
    round.put(name(1), "new", "new");
    CHECK(round.finish() == kNames / 2 - 1);
  }
  Round round(folder.path());
  CHECK(round.tree.has(name(1), "new"));
  CHECK_FALSE(round.tree.has(name(3), "3"));
  CHECK(round.tree.has(name(kNames - 2), std::to_string(kNames - 2)));
  CHECK(round.finish() == kNames / 2 + 1);
}

TEST_CASE("the files of a round that was interrupted are known as ours") {
  const test::Folder folder;
  {
    Round round(folder.path());
    round.put("a", "x");
    REQUIRE(round.tree.put("b", "1", as_bytes("half"), false));
  }
  CHECK_FALSE(fs::exists(folder.path() / "b"));
  Round round(folder.path());
  CHECK_FALSE(round.tree.has("a", "1"));
  round.put("c", "x");
  CHECK(round.finish() == 1);
  CHECK_FALSE(fs::exists(folder.path() / "a"));
}

TEST_CASE("a line of the manifest that was cut off spoils no other one") {
  const test::Folder folder;
  for (const char* name : {"a", "b", "c"}) std::ofstream(folder.path() / name) << "x";
  std::ofstream(folder.path() / ".capf-files") << "1 a\n- b- c\n-\n2 c\n- b";
  Round round(folder.path());
  CHECK(round.tree.has("a", "1"));
  CHECK(round.tree.has("c", "2"));
  CHECK(round.finish() == 2);
  CHECK(fs::exists(folder.path() / "b"));
}

TEST_CASE("no name leads out of the folder, neither one that is put nor one that somebody wrote into the manifest") {
  const test::Folder folder;
  fs::create_directories(folder.path() / "tree");
  fs::create_directories(folder.path() / "elsewhere");
  std::ofstream(folder.path() / "elsewhere/file") << "x";
  fs::create_directory_symlink("../elsewhere", folder.path() / "tree/link");
  std::ofstream(folder.path() / "tree/.capf-files") << "1 ../elsewhere/file\n1 link/file\n1 /etc/hostname\n";
  Round round(folder.path() / "tree");
  for (const char* name : {"../x", "/x", "a//x", ".x", "a/../x", "", "link/x"}) {
    CAPTURE(name);
    CHECK_FALSE(round.tree.put(name, "1", as_bytes("x"), true));
  }
  CHECK_FALSE(round.tree.finish([](const std::string&) { return true; }));  // by way of the link
  CHECK(text_of(folder.path() / "elsewhere/file") == "x");
  CHECK_FALSE(fs::exists(folder.path() / "x"));
  CHECK_FALSE(fs::exists(folder.path() / "elsewhere/x"));
}

TEST_CASE("a file that cannot be written leaves the old one, and two do not write at once") {
  const test::Folder folder;
  Round round(folder.path());
  round.put("a", "old");
  CHECK_FALSE(Tree::open(folder.path()));
  CHECK_FALSE(Tree::open(folder.path() / "absent"));
  fs::remove(folder.path() / "a");
  fs::create_directories(folder.path() / "a/b");  // in the place of the file
  CHECK_FALSE(round.tree.put("a", "2", as_bytes("new"), true));
  CHECK(fs::exists(folder.path() / "a/b"));
  CHECK_FALSE(fs::exists(folder.path() / ".capf-new"));
}
