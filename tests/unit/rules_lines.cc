#include <array>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/rules/lines.h"

// Which lines a change mixes. A device is a letter: n nonsecure, a authenticated, e encrypted.

namespace {

using namespace capf;

DeviceMode mode_of(char letter) {
  if (letter == 'e') return DeviceMode::kEncrypted;
  return letter == 'a' ? DeviceMode::kAuthenticated : DeviceMode::kNonsecure;
}

/// A member of line 1, whose LSC is good; phone 1 is "SEP1", and so on. @param profile_id of the phone
LineMember member(std::int64_t phone, char letter, std::int64_t profile_id = 1) {
  const ModeFacts facts{.site = SiteMode::kMixed, .profile = mode_of(letter), .lsc = LscStatus::kValid};
  return {1, phone, profile_id, DeviceName::parse("SEP" + std::to_string(phone)).value(), facts};
}

std::vector<LineMember> members(const std::string& letters) {
  std::vector<LineMember> all;
  for (const char letter : letters) all.push_back(member(static_cast<std::int64_t>(all.size()) + 1, letter));
  return all;
}

std::string names(const std::vector<DeviceName>& devices) {
  std::string text;
  for (const DeviceName& device : devices) text += (text.empty() ? "" : " ") + device.text();
  return text;
}

const Line kLine{.id = 1, .name = "2001"};

struct Row {
  const char* devices;
  std::set<std::int64_t> phones;  ///< that change
  char next;
  const char* encrypted;  ///< of the mixture; empty: there is none
  const char* others;
};
const Row kRows[]{
    {"", {}, 'n', "", ""},
    {"e", {}, 'n', "", ""},
    {"n", {1}, 'e', "", ""},
    {"na", {}, 'n', "", ""},  // below encrypted: nobody's concern
    {"nn", {1}, 'a', "", ""},
    {"ee", {}, 'n', "", ""},
    {"en", {}, 'n', "SEP1", "SEP2"},
    {"ae", {}, 'n', "SEP2", "SEP1"},
    {"nn", {1}, 'e', "SEP1", "SEP2"},
    {"nn", {1, 2}, 'e', "", ""},
    {"nan", {2, 3}, 'e', "SEP2 SEP3", "SEP1"},
    {"eee", {2}, 'n', "SEP1 SEP3", "SEP2"},
    {"eee", {2}, 'a', "SEP1 SEP3", "SEP2"},
    {"eee", {1, 2, 3}, 'a', "", ""},
    {"een", {3}, 'e', "", ""},
    {"een", {1, 2}, 'n', "", ""},
    {"een", {1}, 'n', "SEP2", "SEP1 SEP3"},
    {"nn", {3}, 'e', "", ""},  // a phone of another line
};

TEST_CASE("a line is mixed where a change leaves encrypted devices beside others") {
  for (const Row& row : kRows) {
    CAPTURE(row.devices, row.phones, row.next);
    const auto mixed = rules::mixture(kLine, members(row.devices), {.phones = row.phones, .next = mode_of(row.next)});
    CHECK((mixed ? names(mixed->encrypted) : "") == row.encrypted);
    CHECK((mixed ? names(mixed->others) : "") == row.others);
    if (mixed) CHECK(mixed->line.name == "2001");
  }
}

TEST_CASE("a change of a profile's mode is that of its phones, and of no others") {
  const std::vector<LineMember> two{member(1, 'n', 7), member(2, 'n', 8)};
  const auto mixed = rules::mixture(kLine, two, {.profile_id = 7, .next = DeviceMode::kEncrypted});
  REQUIRE(mixed);
  CHECK(names(mixed->encrypted) == "SEP1");
  CHECK_FALSE(rules::mixture(kLine, two, {.profile_id = 9, .next = DeviceMode::kEncrypted}));
  const std::vector<LineMember> one{member(1, 'n', 7), member(2, 'n', 7), member(3, 'e', 8)};
  CHECK_FALSE(rules::mixture(kLine, one, {.profile_id = 7, .next = DeviceMode::kEncrypted}));
}

TEST_CASE("modes in effect mix a line that is none by its profiles, and the other way round") {
  std::vector<LineMember> line = members("ee");
  CHECK_FALSE(rules::is_mixed_in_effect(line));
  line[1].facts.lsc = LscStatus::kExpired;
  CHECK(rules::is_mixed_in_effect(line));
  CHECK_FALSE(rules::mixture(kLine, line));
  line[1].facts.good_mic = true;
  CHECK_FALSE(rules::is_mixed_in_effect(line));
  line[1].facts.blocked = true;
  CHECK(rules::is_mixed_in_effect(line));
  line[0].facts.lsc = LscStatus::kRevoked;
  CHECK_FALSE(rules::is_mixed_in_effect(line));

  std::vector<LineMember> allowed = members("en");
  CHECK(rules::is_mixed_in_effect(allowed));
  for (LineMember& each : allowed) each.facts.site = SiteMode::kNonsecure;
  CHECK_FALSE(rules::is_mixed_in_effect(allowed));
  CHECK(rules::mixture(kLine, allowed));
  CHECK_FALSE(rules::is_mixed_in_effect({}));
  CHECK_FALSE(rules::is_mixed_in_effect(members("na")));
}

TEST_CASE("lines have numbers and names as call managers write them") {
  for (const char* good : {"2001", "+4930123456", "*98#", "alice@example.com", "sales_1.b-2", "a"}) {
    CAPTURE(good);
    CHECK(check_line_name(good));
  }
  for (const std::string& bad :
       {std::string(), std::string("20 01"), std::string("a\n"), std::string("<script>"), std::string("a\0b", 3),
        std::string("\"x\""), std::string("ä"), std::string(65, '1')}) {
    CAPTURE(bad);
    const Status status = check_line_name(bad);
    REQUIRE_FALSE(status);
    CHECK(status.error().reason == Reason::kInvalidName);
  }
  CHECK(check_line_name(std::string(64, '1')));
}

}  // namespace
