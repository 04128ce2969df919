#include <chrono>
#include <fstream>

#include <catch2/catch.hpp>

#include "capf/daemon/weak_keys.h"
#include "tests/support/folder.h"

using namespace capf;
using namespace capf::daemon;

namespace {

KeyDigests listed(std::uint8_t octet) {
  KeyDigests key;
  key.listed.emplace().fill(octet);
  return key;
}

/// Each time is later than the one before.
void write(const std::filesystem::path& path, const std::string& text) {
  static int times = 0;
  std::ofstream(path) << text;
  std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() + std::chrono::seconds(++times));
}

const std::string kOnes = "11111111111111111111\n";
const std::string kTwos = "22222222222222222222\n";

}  // namespace

TEST_CASE("lists of weak keys are read at the start, and again when they change") {
  const test::Folder folder;
  const auto one = folder.path() / "one";
  const auto two = folder.path() / "two";
  write(one, "# a comment\n" + kOnes);
  write(two, kTwos);
  WeakKeyFiles files({one, two});
  CHECK(files.list().check(listed(0x11)));
  REQUIRE(files.open());
  for (const std::uint8_t octet : {0x11, 0x22}) CHECK_FALSE(files.list().check(listed(octet)));
  CHECK(files.list().check(listed(0x33)));
  CHECK(files.list().check(KeyDigests()));

  write(two, "33333333333333333333\n");
  files.tick();
  CHECK_FALSE(files.list().check(listed(0x11)));
  CHECK(files.list().check(listed(0x22)));
  CHECK_FALSE(files.list().check(listed(0x33)));

  // One that cannot be used leaves what was read before.
  write(two, "nonsense\n");
  files.tick();
  CHECK_FALSE(files.list().check(listed(0x33)));
  std::filesystem::remove(two);
  files.tick();
  CHECK_FALSE(files.list().check(listed(0x33)));
  write(two, kTwos);
  files.tick();
  CHECK(files.list().check(listed(0x33)));
}

TEST_CASE("a list of weak keys that cannot be used stops the start with its name") {
  const test::Folder folder;
  const auto path = folder.path() / "list";
  SECTION("absent") {}
  SECTION("another file") { write(path, "nonsense\n"); }
  SECTION("for others to write") {
    write(path, kOnes);
    std::filesystem::permissions(path, std::filesystem::perms{0666});
  }
  WeakKeyFiles files({path});
  const Status opened = files.open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().reason == Reason::kInvalidConfiguration);
  CHECK_THAT(opened.error().message, Catch::Contains(path.string()));
  CHECK(WeakKeyFiles({}).open());
}
