#include <algorithm>

#include <catch2/catch.hpp>

#include "capf/cli/arguments.h"
#include "capf/cli/selection.h"
#include "capf/cli/settings.h"

namespace capf::cli {
namespace {

const std::vector<Command>& commands() {
  static const std::vector<Command> all = all_commands();
  return all;
}
Parsed parsed(std::vector<std::string> words) { return parse(words, commands()); }

TEST_CASE("each setting that an owner may have is an option with its values") {
  for (const Owner owner : {Owner::kProfile, Owner::kPhone}) {
    const std::vector<Option> options = setting_options(owner);
    std::size_t found = 0;
    for (const capf::PhoneSetting& setting : phone_settings()) {
      INFO(setting.name);
      const auto option = std::find_if(options.begin(), options.end(),
                                       [&](const Option& each) { return each.name == option_of(setting); });
      CHECK((option != options.end()) == setting.may_have(owner));
      if (option == options.end()) continue;
      ++found;
      CHECK(option->choices == setting.form.words);
      if (option->choices.empty()) CHECK_THAT(option->help, Catch::EndsWith(setting.form.range()));
    }
    CHECK(options.size() == found + 1);
  }
}

TEST_CASE("a profile's options become settings, and names are taken with either sign") {
  const Parsed line = parsed({"profile", "set", "desks", "--encrypted-config", "on", "--nonce-seconds", "60", "--unset",
                              "key-order", "--unset", "rsa_bits"});
  REQUIRE(line.command != nullptr);
  v1::SetProfileRequest request;
  add_settings(line.arguments, Owner::kProfile, request);
  CHECK(request.settings().size() == 2);
  CHECK(request.settings().at("encrypted_config") == "on");
  CHECK(request.settings().at("nonce_seconds") == "60");
  CHECK(std::vector<std::string>(request.unset().begin(), request.unset().end()) ==
        std::vector<std::string>{"key_order", "rsa_bits"});
  CHECK(parsed({"profile", "set", "desks", "--encrypted-config", "true"}).exit_code == 2);
}

TEST_CASE("a phone's own value is no property that chooses phones") {
  const Parsed line = parsed({"phone", "set", "--auth", "mic"});
  REQUIRE(line.command != nullptr);
  v1::ChangePhoneSettingsRequest request;
  add_settings(line.arguments, Owner::kPhone, request);
  CHECK(request.settings().at("auth") == "mic");
  CHECK_FALSE(chosen_phones(without_settings(line.arguments, Owner::kPhone))->any);
  const Parsed chosen =
      parsed({"phone", "set", "--auth", "mic", "--profile", "desks", "--effective-mode", "nonsecure"});
  const Chosen phones = *chosen_phones(without_settings(chosen.arguments, Owner::kPhone));
  CHECK(phones.any);
  CHECK(phones.slices.front().profiles(0) == "desks");
  CHECK(phones.slices.front().effective_modes(0) == "nonsecure");
  CHECK(phones.slices.front().auths().empty());
}

}  // namespace
}  // namespace capf::cli
