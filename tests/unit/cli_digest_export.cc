#include <filesystem>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include "capf/cli/digest_export.h"
#include "tests/support/folder.h"

using namespace capf;
using namespace capf::cli;
using namespace capf::test;

namespace {

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::size_t files_in(const Folder& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder.path()), {}));
}

struct Exports {
  Folder folder;
  std::string path = (folder.path() / "users").string();

  Result<SecretFile> begin(bool replace = false) const { return SecretFile::begin(path, replace); }
  std::string refusal(bool replace) const {
    const auto file = begin(replace);
    return file ? std::string() : file.error().message;
  }
};

v1::DigestExportRow row(const std::string& user, const std::string& device = {},
                        const std::string& mode = "encrypted") {
  v1::DigestExportRow row;
  row.set_user(user);
  row.set_realm("ccmsipline");
  row.set_ha1_md5(std::string(32, '1'));
  row.set_ha1_sha256(std::string(64, '2'));
  row.set_ha1_sha512_256(std::string(64, '3'));
  row.set_device(device);
  if (!device.empty()) row.set_mode(mode);
  return row;
}

const std::string kHa1 = R"("ha1_md5":")" + std::string(32, '1') + R"(","ha1_sha256":")" + std::string(64, '2') +
                         R"(","ha1_sha512_256":")" + std::string(64, '3') + '"';

}  // namespace

TEST_CASE("a file of secrets has its name when it is whole, and is its owner's alone") {
  const Exports place;
  auto file = place.begin().value();
  REQUIRE(file.write("one\n"));
  CHECK_FALSE(std::filesystem::exists(place.path));
  REQUIRE(file.write("two\n"));
  REQUIRE(file.finish());
  CHECK(text_of(place.path) == "one\ntwo\n");
  struct stat status {};
  REQUIRE(::stat(place.path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0600U);
}

TEST_CASE("a file of secrets that is not finished leaves nothing") {
  const Exports place;
  std::ofstream(place.path) << "before";
  {
    auto file = place.begin(true).value();
    REQUIRE(file.write("half"));
    CHECK(files_in(place.folder) == 2);
  }
  CHECK(files_in(place.folder) == 1);
  CHECK(text_of(place.path) == "before");
}

TEST_CASE("a file of secrets takes the place of another one only where that is asked for") {
  const Exports place;
  std::ofstream(place.path) << "before";
  std::filesystem::permissions(place.path, std::filesystem::perms(0644));
  CHECK_THAT(place.refusal(false), Catch::Contains("is there already; --replace"));
  auto file = place.begin(true).value();
  REQUIRE(file.write("after"));
  REQUIRE(file.finish());
  CHECK(text_of(place.path) == "after");
  CHECK((std::filesystem::status(place.path).permissions() & std::filesystem::perms(0777)) ==
        std::filesystem::perms(0600));
  CHECK(files_in(place.folder) == 1);
}

TEST_CASE("a file that appears meanwhile is not replaced") {
  const Exports place;
  auto file = place.begin().value();
  REQUIRE(file.write("ours"));
  std::ofstream(place.path) << "theirs";
  CHECK_FALSE(file.finish());
  CHECK(text_of(place.path) == "theirs");
}

TEST_CASE("secrets go to no terminal, device, folder or link") {
  const Exports place;
  for (const bool replace : {false, true}) {
    CHECK_THAT(SecretFile::begin("/dev/tty", replace).error().message, Catch::Contains("secrets are not shown"));
    CHECK_THAT(SecretFile::begin("/dev/stdout", replace).error().message, Catch::Contains("secrets are not shown"));
    CHECK_THAT(SecretFile::begin(place.folder.path().string(), replace).error().message, Catch::Contains("is no file"));
    CHECK_FALSE(SecretFile::begin((place.folder.path() / "no folder/users").string(), replace));
  }
  std::filesystem::create_symlink("/dev/null", place.path);
  CHECK_THAT(place.refusal(true), Catch::Contains("is no file"));
}

TEST_CASE("the rows of a user become one, with its phones, and their secrets are wiped") {
  const Exports place;
  auto file = place.begin().value();
  DigestExport written(exports::Format::kJson, file);
  REQUIRE(written.begin());
  const std::string lsc(64, 'a');
  std::vector<v1::DigestExportRow> rows{row("4711", "SEP001122334455"), row("4711", "SEP001122334456", "nonsecure"),
                                        row("4712"), row("4713", "SEP001122334457", "authenticated")};
  rows[0].set_lsc_sha256(lsc);
  for (v1::DigestExportRow& each : rows) {
    REQUIRE(written.add(each));
    CHECK(each.ha1_md5() == std::string(32, '\0'));
    CHECK(each.ha1_sha256() == std::string(64, '\0'));
    CHECK(each.ha1_sha512_256() == std::string(64, '\0'));
  }
  REQUIRE(written.finish());
  REQUIRE(file.finish());
  CHECK(written.users() == 3);
  CHECK(written.phones() == 3);
  CHECK(text_of(place.path) ==
        R"({"user":"4711","realm":"ccmsipline",)" + kHa1 +
            R"(,"devices":[{"device":"SEP001122334455","mode":"encrypted","lsc_sha256":")" + lsc +
            R"("},{"device":"SEP001122334456","mode":"nonsecure","lsc_sha256":null}]})" + '\n' +
            R"({"user":"4712","realm":"ccmsipline",)" + kHa1 + R"(,"devices":[]})" + '\n' +
            R"({"user":"4713","realm":"ccmsipline",)" + kHa1 +
            R"(,"devices":[{"device":"SEP001122334457","mode":"authenticated","lsc_sha256":null}]})" + '\n');
}

TEST_CASE("a user whom the format cannot say, or a row that is not understood, ends the export") {
  const Exports place;
  auto file = place.begin().value();
  DigestExport written(exports::Format::kAsteriskPjsip, file);
  REQUIRE(written.begin());
  auto bad = row("a]b");
  REQUIRE(written.add(bad));
  auto good = row("4711");
  CHECK_THAT(written.add(good).error().message,
             Catch::Contains("the user \"a]b\" cannot be written as asterisk-pjsip"));
  auto unknown = row("4712", "SEP001122334455", "armoured");
  CHECK_THAT(DigestExport(exports::Format::kJson, file).add(unknown).error().message, Catch::Contains("\"armoured\""));
  auto odd = row("4712", "SEP001122334455");
  odd.set_lsc_sha256("abcd");
  CHECK_FALSE(DigestExport(exports::Format::kJson, file).add(odd));
}
