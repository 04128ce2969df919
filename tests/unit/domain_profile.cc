#include <catch2/catch.hpp>

#include "capf/domain/profile.h"

namespace capf {
namespace {

TEST_CASE("a profile's name is a plain text that a command line takes") {
  for (const char* name : {"a", "desks", "Büro 2. Stock", "x-y", "<script>", "1"}) CHECK(check_profile_name(name));
  CHECK(check_profile_name(std::string(64, 'x')));
  CHECK_FALSE(check_profile_name(std::string(65, 'x')));
  for (const char* name : {"", " a", "a ", "-a", "a\nb", "\x7f", "\xc2\x80", "\xff"}) {
    INFO(name);
    CHECK_FALSE(check_profile_name(name));
  }
}

TEST_CASE("a profile's description is up to 200 characters") {
  std::string text;
  for (int i = 0; i < 200; ++i) text += "ü";
  CHECK(check_profile_description(text));
  CHECK_FALSE(check_profile_description(text + "x"));
  CHECK_FALSE(check_profile_description("a\tb"));
}

TEST_CASE("settings are set and taken away, and others stay") {
  Settings settings{{"auth", "mic"}, {"pc_port", "off"}, {"ssh_access", "off"}};
  REQUIRE(change_settings({{"auth", "string"}, {"usb", "off"}}, {"pc_port", "bluetooth"}, settings));
  CHECK(settings == Settings{{"auth", "string"}, {"ssh_access", "off"}, {"usb", "off"}});
  CHECK(change_settings({}, {"nothing"}, settings).error().reason == Reason::kInvalidSetting);
  CHECK(change_settings({{"auth", "mic"}}, {"auth"}, settings).error().reason == Reason::kInvalidRequest);
}

TEST_CASE("settings differ where one has another value, or none") {
  const Settings one{{"auth", "mic"}, {"key_order", "rsa"}, {"pc_port", "on"}};
  CHECK(different_settings(one, one).empty());
  CHECK(different_settings(one, {{"auth", "string"}, {"key_order", "rsa"}, {"usb", "on"}}) ==
        std::vector<std::string>{"auth", "pc_port", "usb"});
}

}  // namespace
}  // namespace capf
