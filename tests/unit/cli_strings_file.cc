#include <filesystem>
#include <fstream>
#include <iterator>

#include <botan/auto_rng.h>
#include <catch2/catch.hpp>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "capf/cli/strings_file.h"
#include "tests/support/folder.h"
#include "tests/support/full_disk.h"

using namespace capf;
using namespace capf::cli;
using namespace capf::test;

namespace {

thread_local std::vector<ino_t> synced;  // by this thread

}  // namespace

/// Stands before that of the C library, so that a test sees what is on disk.
extern "C" int fsync(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) == 0) synced.push_back(status.st_ino);
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

namespace {

ino_t inode_of(const std::filesystem::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_ino;
}

const TimePoint kDeadline = parse_rfc3339("2030-12-31T23:59:59Z").value();
const std::string kCommand = "operation schedule install --auth string --file phones.csv";

struct StringsPlace {
  Folder folder;
  Botan::AutoSeeded_RNG random;
  std::string path = (folder.path() / "strings.csv").string();

  Result<StringsFile> open(const std::string& command = kCommand) { return StringsFile::open(path, command, random); }
  std::string text() const {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(std::string_view text, std::ios::openmode mode = std::ios::app) const {
    std::ofstream(path, std::ios::binary | mode) << text;
  }
};

DeviceString string_for(const std::string& device, std::string_view digits, const std::string& description = {}) {
  return {device, Secret(digits), kDeadline, description};
}

/// One string, whose description is given.
std::vector<DeviceString> batch(const std::string& device, const std::string& description = {}) {
  std::vector<DeviceString> strings;
  strings.push_back(string_for(device, "08154711", description));
  return strings;
}

std::string words_of(const Result<StringsFile>& file) { return file ? "" : file.error().message; }

}  // namespace

TEST_CASE("a strings file is new, for its owner alone, and names its run first") {
  StringsPlace place;
  auto file = place.open();
  REQUIRE(file);
  CHECK_FALSE(file->continued());
  CHECK(file->run().size() == 32);
  struct stat status {};
  REQUIRE(::stat(place.path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0600);
  REQUIRE(file->add(batch("SEP1", "Reception")));
  REQUIRE(file->add(batch("SEP2", "=1, \"x\" \x1b[31m\xE2\x80\xAE")));
  REQUIRE(file->finish());
  CHECK(place.text() == "# capfctl run=" + file->run() + " command=" + kCommand +
                            "\ndevice,string,completes_by,description\n"
                            "SEP1,08154711,2030-12-31T23:59:59Z,Reception\n"
                            "SEP2,08154711,2030-12-31T23:59:59Z,\"'=1, \"\"x\"\" \\x1b[31m\\u{202e}\"\n"
                            "# finished\n");
}

TEST_CASE("the same command goes on with the run and the strings of an unfinished file") {
  StringsPlace place;
  std::string run;
  {
    auto file = place.open();
    REQUIRE(file);
    run = file->run();
    REQUIRE(file->add(batch("SEP1", "'=a \"b\", c")));
  }
  place.write("SEP2,1234");  // a write that was cut off
  auto file = place.open();
  REQUIRE(file);
  CHECK(file->continued());
  CHECK(file->run() == run);
  REQUIRE(file->find("SEP1") != nullptr);
  CHECK(file->find("SEP1")->digits.text() == "08154711");
  CHECK(file->find("SEP1")->completes_by == kDeadline);
  CHECK(file->find("SEP1")->description == "'=a \"b\", c");
  CHECK(file->find("SEP2") == nullptr);
  REQUIRE(file->add(batch("SEP2")));
  CHECK_THAT(place.text(), Catch::EndsWith("\nSEP2,08154711,2030-12-31T23:59:59Z,\n"));
  CHECK(parse_strings(place.text())->strings.size() == 2);
}

TEST_CASE("every other file is refused and stays as it is") {
  const std::string first = "# capfctl run=" + std::string(32, 'a') + " command=";
  const std::string titles = "\ndevice,string,completes_by,description\n";
  const std::string line = "SEP1,08154711,2030-12-31T23:59:59Z,\n";
  const std::string own = first + kCommand + titles;
  struct {
    std::string name, text, words;
  } const cases[] = {
      {"nothing", "", "its first line names no run of capfctl"},
      {"another text", "hello\n", "its first line names no run of capfctl"},
      {"a run without an id", "# capfctl run= command=" + kCommand + titles, "its first line names no run of capfctl"},
      {"no titles", first + kCommand + "\n" + line, "its second line does not name the columns"},
      {"another command", first + "operation schedule delete" + titles + line,
       "it is of another command, \"operation schedule delete\""},
      {"a finished run", own + line + "# finished\n", "its run is finished"},
      {"a line behind the end", own + "# finished\n" + line, "line 3 is not as capfctl has written it"},
      {"a wrong string", own + line + "SEP2,12,2030-12-31T23:59:59Z,\n", "line 4 is not as capfctl has written it"},
      {"a wrong time", own + "SEP2,08154711,soon,\n", "line 3 is not as capfctl has written it"},
      {"a device twice", own + line + line, "it has two strings for SEP1"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.name);
    StringsPlace place;
    place.write(each.text);
    REQUIRE(::chmod(place.path.c_str(), 0600) == 0);
    CHECK(words_of(place.open()) ==
          place.path + " is there and is not continued: " + each.words + "; name a file that does not exist");
    CHECK(place.text() == each.text);
  }
}

TEST_CASE("a file that others may read, a link, a folder and a file in use are refused") {
  StringsPlace place;
  place.write("x\n");
  REQUIRE(::chmod(place.path.c_str(), 0640) == 0);
  const auto open_to_others = place.open();
  REQUIRE_FALSE(open_to_others);
  CHECK(open_to_others.error().reason == Reason::kSecretExposed);

  StringsPlace linked;
  std::filesystem::create_symlink(place.path, linked.path);
  CHECK_FALSE(linked.open());
  StringsPlace folder;
  std::filesystem::create_directory(folder.path);
  CHECK_FALSE(folder.open());
  StringsPlace absent;
  absent.path = (absent.folder.path() / "none" / "strings.csv").string();
  CHECK(words_of(absent.open()) == absent.path + ": No such file or directory");

  StringsPlace used;
  const auto one = used.open();
  REQUIRE(one);
  CHECK_THAT(words_of(used.open()), Catch::Contains("another capfctl is writing it"));
}

TEST_CASE("a full disk leaves the file as it was, and a later batch finds room") {
  StringsPlace place;
  auto file = place.open();
  REQUIRE(file);
  REQUIRE(file->add(batch("SEP1")));
  const std::string before = place.text();
  {
    const FullDisk full(before.size() + 10);
    const Status added = file->add(batch("SEP2"));
    REQUIRE_FALSE(added);
    CHECK(added.error().message == place.path + ": File too large: the strings are not on disk, so they are not sent");
    CHECK(place.text() == before);
    CHECK(file->find("SEP2") == nullptr);
    const Status finished = file->finish();
    REQUIRE_FALSE(finished);
    CHECK(finished.error().message ==
          place.path + ": File too large: every phone is done, but the file does not say so");
  }
  REQUIRE(file->add(batch("SEP2")));
  CHECK(parse_strings(place.text())->strings.size() == 2);
}

TEST_CASE("a file that cannot be begun is not there") {
  StringsPlace place;
  {
    const FullDisk full(10);
    CHECK_FALSE(place.open());
  }
  CHECK(std::filesystem::is_empty(place.folder.path()));
  CHECK(place.open());
}

TEST_CASE("a strings file has no other name than its own") {
  StringsPlace place;
  REQUIRE(place.open());
  const auto entries = std::filesystem::directory_iterator(place.folder.path());
  CHECK(std::distance(begin(entries), end(entries)) == 1);
  CHECK(std::filesystem::hard_link_count(place.path) == 1);
}

TEST_CASE("strings of a run that is continued are on disk, and their file's name, before a batch can be sent") {
  StringsPlace place;
  {
    auto file = place.open();
    REQUIRE(file);
    REQUIRE(file->add(batch("SEP1")));
  }
  synced.clear();
  REQUIRE(place.open());
  CHECK(synced == std::vector<ino_t>{inode_of(place.path), inode_of(place.folder.path())});
}

TEST_CASE("a command with a line end is one line, and is the same one when it is given again") {
  StringsPlace place;
  REQUIRE(place.open("schedule --file a\nb"));
  CHECK(place.open("schedule --file a\nb"));
  CHECK_THAT(place.text(), Catch::Contains("command=schedule --file a\\x0ab\ndevice,"));
}
