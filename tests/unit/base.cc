#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capf/base/address.h"
#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/base/file.h"
#include "capf/base/secret.h"
#include "capf/base/time.h"
#include "capf/base/utf8.h"
#include "tests/support/folder.h"
#include "tests/support/full_disk.h"

using namespace capf;

TEST_CASE("every reason has a spelling of its own, in upper case, and leads back to itself") {
  std::set<std::string_view> spellings;
  for (int i = 0; i <= static_cast<int>(Reason::kInternal); ++i) {
    const auto reason = static_cast<Reason>(i);
    const std::string_view spelling = to_string(reason);
    CAPTURE(spelling);
    CHECK(spellings.insert(spelling).second);
    CHECK(spelling.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == std::string_view::npos);
    CHECK(parse_reason(spelling) == reason);
    CHECK_FALSE(words(reason).empty());
    CHECK_FALSE(to_string(code_of(reason)).empty());
  }
  CHECK(parse_reason("NO_SUCH_REASON") == Reason::kInternal);
}

TEST_CASE("the integrator's page tells every reason with its code and words") {
  std::ifstream file(CAPF_REASONS_PAGE);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  for (int i = 0; i <= static_cast<int>(Reason::kInternal); ++i) {
    const auto reason = static_cast<Reason>(i);
    const std::string row = "| `" + std::string(to_string(reason)) + "` | " + std::string(to_string(code_of(reason))) +
                            " | " + std::string(words(reason)) + " |\n";
    CAPTURE(row);
    CHECK(text.find(row) != std::string::npos);
  }
}

TEST_CASE("an error carries its reason's words unless it has better ones") {
  CHECK(fail(Reason::kUnknownDevice).value().message == words(Reason::kUnknownDevice));
  CHECK(fail(Reason::kUnknownDevice, "no SEP1").value().message == "no SEP1");
  const Error fault = fail_internal("a secret detail").value();
  CHECK(fault.message.find("secret") == std::string::npos);
  CHECK(fault.cause == "a secret detail");
}

TEST_CASE("a code says whose fault an error is, and whether the call may be made again") {
  struct Row {
    Code code;
    bool repeated;
    bool fault;
  };
  constexpr Row kRows[] = {
      {Code::kInvalidArgument, false, false},  {Code::kUnauthenticated, false, false},
      {Code::kPermissionDenied, false, false}, {Code::kNotFound, false, false},
      {Code::kAlreadyExists, false, false},    {Code::kFailedPrecondition, false, false},
      {Code::kConflict, true, false},          {Code::kUnavailable, true, true},
      {Code::kOutcomeUnknown, true, true},     {Code::kInternal, false, true},
  };
  for (const Row& row : kRows) {
    CAPTURE(to_string(row.code));
    CHECK(may_be_repeated(row.code) == row.repeated);
    CHECK(is_servers_fault(row.code) == row.fault);
  }
  static_assert(may_be_repeated(Code::kConflict) && !is_servers_fault(Code::kConflict));
}

TEST_CASE("times are read and written as RFC 3339 has them") {
  const auto text = GENERATE(as<std::string>{}, "1970-01-01T00:00:00Z", "2030-12-31T23:59:59Z", "2028-02-29T12:00:00Z",
                             "9999-12-31T23:59:59Z");
  const auto time = parse_rfc3339(text);
  REQUIRE(time);
  CHECK(to_rfc3339(*time) == text);
}

TEST_CASE("a time may have a fraction, an offset, or be a date alone") {
  CHECK(to_rfc3339(*parse_rfc3339("2030-01-01T01:00:00+01:00")) == "2030-01-01T00:00:00Z");
  CHECK(to_rfc3339(*parse_rfc3339("2029-12-31T19:30:00-04:30")) == "2030-01-01T00:00:00Z");
  CHECK(*parse_rfc3339("2030-01-01T00:00:00.25Z") - *parse_rfc3339("2030-01-01T00:00:00Z") ==
        std::chrono::milliseconds{250});
  CHECK(to_rfc3339(*parse_rfc3339("2030-06-30")) == "2030-06-30T00:00:00Z");
}

TEST_CASE("what is no time is refused") {
  const auto text = GENERATE(as<std::string>{}, "", "tomorrow", "2030-13-01T00:00:00Z", "2030-02-30", "2030-00-10",
                             "2030-01-01T24:00:00Z", "2030-01-01T00:60:00Z", "2030-01-01T00:00:00", "1969-12-31",
                             "2030-01-01T00:00:00.Z", "2030-01-01T00:00:00.1234567Z", "2030-01-01T00:00:00ZZ",
                             "2030-01-01T00:00:00+25:00", "2030-1-1", "-030-01-01", "1970-01-01T00:00:00+00:01",
                             "9999-12-31T23:59:59-00:01");
  CAPTURE(text);
  CHECK(parse_rfc3339(text).error().reason == Reason::kInvalidTime);
}

TEST_CASE("hexadecimal is read in either case and refused when it is not whole") {
  CHECK(*parse_hex("00fFa1") == Bytes{0x00, 0xff, 0xa1});
  CHECK(to_hex(Bytes{0x00, 0xff, 0xa1}) == "00ffa1");
  CHECK_FALSE(parse_hex("0"));
  CHECK_FALSE(parse_hex("0g"));
  CHECK_FALSE(parse_hex("0 0 "));
}

TEST_CASE("UTF-8 is read code point by code point, and an octet that is none is replaced") {
  const auto read = [](std::string_view text) {
    std::u32string points;
    while (!text.empty()) points += take_code_point(text);
    return points;
  };
  CHECK(read("M\xC3\xBC") == U"M\u00FC");
  CHECK(read("\xE2\x82\xAC") == U"\u20AC");
  CHECK(read("\xF0\x9F\x93\x9E") == U"\U0001F4DE");
  const auto bad = GENERATE(as<std::string>{}, "\x80", "\xFF", "\xC3", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80",
                            "\xE2\x82", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80");
  CAPTURE(to_hex(as_bytes(bad)));
  CHECK(read(bad) == std::u32string(bad.size(), kReplacementCharacter));
  CHECK(find_not_utf8("ok" + bad) == 2);
  CHECK(find_not_utf8("\xEF\xBF\xBD") == std::nullopt);
}

TEST_CASE("every code point is written as it is read") {
  for (char32_t point = 0; point <= 0x10FFFF; ++point) {
    if (point == 0xD800) point = 0xE000;
    std::string text;
    append_utf8(text, point);
    std::string_view rest = text;
    if (take_code_point(rest) != point || !rest.empty()) FAIL("U+" << std::hex << static_cast<std::uint32_t>(point));
  }
}

TEST_CASE("text is cut between characters") {
  const std::string text = "a\xC3\xBC\xE2\x82\xACz";  // of 1, 2, 3 and 1 octets
  const std::size_t kept[] = {0, 1, 1, 3, 3, 3, 6, 7, 7};
  for (std::size_t octets = 0; octets < std::size(kept); ++octets) {
    CAPTURE(octets);
    CHECK(cut(text, octets) == text.substr(0, kept[octets]));
  }
  CHECK(cut("\x80\x80\x80", 2) == "\x80\x80");
  CHECK(cut("", 5).empty());
  CHECK(cut_characters(text, 0).empty());
  CHECK(cut_characters(text, 3) == text.substr(0, 6));
  CHECK(cut_characters(text, 9) == text);
  CHECK(cut_characters("\xC3\xC3\xBC", 1) == "\xC3");
}

TEST_CASE("characters are counted, and so is an octet that is none") {
  CHECK(characters_of("") == 0);
  CHECK(characters_of("abc") == 3);
  CHECK(characters_of("a\xC3\xBC\xE2\x82\xACz") == 4);
  CHECK(characters_of("\xF0\x9F\x93\x9E") == 1);
  CHECK(characters_of("\xC3\xC3\xBC") == 2);
  CHECK(characters_of("\xE2\x82") == 2);
  for (const std::string_view text : {"a\xC3\xBCz", "\x80\x80", "\xEF\xBF\xBD"}) {
    CAPTURE(text);
    CHECK(cut_characters(text, characters_of(text)) == text);
    CHECK(cut_characters(text, characters_of(text) - 1) != text);
  }
}

TEST_CASE("the letters A to Z alone have another case") {
  CHECK(lower_case("aZ09-_@[\xC3\x84") == "az09-_@[\xC3\x84");
  CHECK(equal_without_case("US-ascii", "us-ASCII"));
  CHECK_FALSE(equal_without_case("utf-8", "utf-88"));
  CHECK_FALSE(equal_without_case("[", "{"));
}

TEST_CASE("addresses are compared by what they are, not by how they are written") {
  CHECK(*Address::parse("::ffff:192.0.2.1") == *Address::parse("192.0.2.1"));
  CHECK(Address::parse("192.0.2.1")->to_string() == "192.0.2.1");
  CHECK(Address::parse("2001:DB8:0::1")->to_string() == "2001:db8::1");
  CHECK(Address::parse("fe80::1%eth0")->to_string() == "fe80::1");
  for (const char* text : {"", "1.2.3", "1.2.3.4.5", "::g", "256.1.1.1", "localhost"})
    CHECK_FALSE(Address::parse(text));
}

TEST_CASE("an IPv6 neighbour is a /64, an IPv4 one an address") {
  CHECK(Address::parse("2001:db8:1:2:3:4:5:6")->block() == "2001:db8:1:2::/64");
  CHECK(Address::parse("2001:db8:1:2:ffff::1")->block() == Address::parse("2001:db8:1:2::9")->block());
  CHECK(Address::parse("192.0.2.7")->block() == "192.0.2.7");
}

TEST_CASE("a network contains its addresses and no others") {
  const auto loopback = Network::parse("127.0.0.0/8");
  CHECK(loopback->contains(*Address::parse("127.255.0.1")));
  CHECK(loopback->contains(*Address::parse("::ffff:127.0.0.1")));
  CHECK_FALSE(loopback->contains(*Address::parse("128.0.0.1")));
  CHECK_FALSE(loopback->contains(*Address::parse("::1")));
  CHECK(Network::parse("::1")->contains(*Address::parse("::1")));
  CHECK(Network::parse("0.0.0.0/0")->contains(*Address::parse("8.8.8.8")));
  CHECK_FALSE(Network::parse("0.0.0.0/0")->contains(*Address::parse("2001:db8::1")));
  CHECK(Network::parse("10.1.2.3/8")->to_string() == "10.0.0.0/8");
  for (const char* text : {"", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "::/129", "10.0.0.0/8x"}) {
    CAPTURE(text);
    CHECK(Network::parse(text).error().reason == Reason::kInvalidConfiguration);
  }
}

TEST_CASE("a secret is read from a file that is private, without its last newline") {
  const test::Folder folder;
  const auto path = folder.path() / "passphrase";
  REQUIRE(write_new_secret_file(path, as_bytes("correct horse\n")));
  CHECK(read_secret("file:" + path.string())->text() == "correct horse");
  CHECK(write_new_secret_file(path, as_bytes("another")).error().reason == Reason::kSiteExists);
  REQUIRE(::chmod(path.c_str(), 0640) == 0);
  CHECK(read_secret("file:" + path.string()).error().reason == Reason::kSecretExposed);
}

TEST_CASE("a part of a file does not stay where the disk is full") {
  const test::Folder folder;
  const auto path = folder.path() / "passphrase";
  Status written;
  {
    const test::FullDisk full(4);
    written = write_new_secret_file(path, as_bytes("correct horse"));
  }
  REQUIRE_FALSE(written);
  CHECK(written.error().reason == Reason::kInvalidConfiguration);
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK(write_new_secret_file(path, as_bytes("correct horse")));
}

TEST_CASE("a secret is read from a descriptor, which is closed, and from the environment, which forgets it") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  REQUIRE(::write(ends[1], "pin", 3) == 3);
  ::close(ends[1]);
  CHECK(read_secret("fd:" + std::to_string(ends[0]))->text() == "pin");
  CHECK(::fcntl(ends[0], F_GETFD) == -1);

  ::setenv("CAPF_TEST_SECRET", "phrase", 1);
  CHECK(read_secret("env:CAPF_TEST_SECRET")->text() == "phrase");
  CHECK(::getenv("CAPF_TEST_SECRET") == nullptr);
}

TEST_CASE("a secret's place must be one of those that there are") {
  for (const char* source : {"", "passphrase", "pass:word", "file:", "fd:x", "fd:-1", "env:CAPF_NOT_SET",
                             "file:/nowhere", "credential:../x"}) {
    CAPTURE(source);
    CHECK(read_secret(source).error().reason == Reason::kInvalidConfiguration);
  }
}

TEST_CASE("secrets are compared whole") {
  CHECK(equal_in_constant_time(as_bytes("12345678"), as_bytes("12345678")));
  CHECK_FALSE(equal_in_constant_time(as_bytes("12345678"), as_bytes("12345679")));
  CHECK_FALSE(equal_in_constant_time(as_bytes("1234567"), as_bytes("12345678")));
  CHECK(equal_in_constant_time({}, {}));
}

TEST_CASE("a file that a stranger names is opened beneath its folder only") {
  const test::Folder folder;
  const auto root = folder.path() / "static";
  std::filesystem::create_directories(root / "rings/sub");
  std::ofstream(root / "rings/a.xml") << "a ring";
  std::ofstream(folder.path() / "secret") << "a secret";
  std::filesystem::create_symlink(folder.path() / "secret", root / "link");
  std::filesystem::create_symlink("a.xml", root / "rings/near");
  std::filesystem::create_symlink(folder.path(), root / "up");
  REQUIRE(::mkfifo((root / "pipe").c_str(), 0600) == 0);

  const auto found = File::open_beneath(root, "rings/a.xml").value();
  REQUIRE(found);
  std::array<std::uint8_t, 6> octets{};
  CHECK(found->read(0, octets).value() == 6);
  CHECK(as_text(octets) == "a ring");
  std::filesystem::create_directory_symlink(root, folder.path() / "current");
  CHECK(File::open_beneath(folder.path() / "current", "rings/a.xml").value());

  const std::vector<std::string> refused{"",
                                         "/",
                                         "..",
                                         ".",
                                         "rings",
                                         "rings/",
                                         "rings//a.xml",
                                         "rings/./a.xml",
                                         "rings/../rings/a.xml",
                                         "../secret",
                                         "rings/../../secret",
                                         "/etc/passwd",
                                         (folder.path() / "secret").string(),
                                         "link",
                                         "rings/near",
                                         "up/secret",
                                         "pipe",
                                         "none",
                                         "none/a",
                                         "rings/a.xml/b",
                                         std::string("rings/a.xml\0", 12),
                                         std::string(300, 'a')};
  for (const std::string& name : refused) {
    CAPTURE(name);
    const auto file = File::open_beneath(root, name);
    REQUIRE(file);
    CHECK_FALSE(*file);
  }
  CHECK_FALSE(File::open_beneath(folder.path() / "none", "a"));
}

TEST_CASE("a folder that can be written has room, nothing is left in it, and one that is away has none") {
  const test::Folder folder;
  const auto inside = folder.path() / "keys";
  std::filesystem::create_directory(inside);
  CHECK(check_room(inside).has_value());
  CHECK(std::filesystem::is_empty(inside));
  std::filesystem::remove(inside);
  const Status away = check_room(inside);
  REQUIRE_FALSE(away);
  CHECK(away.error().reason == Reason::kStateNotWritable);
  CHECK(away.error().message == inside.string() + ": No such file or directory");
}

TEST_CASE("a file is replaced where its name is all of its path") {
  const test::Folder folder;
  std::ofstream(folder.path() / "sheet.new") << "next";
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  const Status replaced = replace_file("sheet.new", "sheet");
  std::filesystem::current_path(before);
  CHECK(replaced.has_value());
  CHECK(std::filesystem::exists(folder.path() / "sheet"));
  CHECK(folder_of("keys/site.key") == "keys");
}
