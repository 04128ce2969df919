#include "capf/cli/settings.h"

#include <algorithm>

namespace capf::cli {

std::string option_of(const capf::PhoneSetting& setting) {
  std::string option = "--" + setting.name;
  std::replace(option.begin(), option.end(), '_', '-');
  return option;
}

std::vector<Option> setting_options(Owner owner) {
  std::vector<Option> options;
  for (const capf::PhoneSetting& setting : phone_settings()) {
    if (!setting.may_have(owner)) continue;
    Option option{option_of(setting), Option::Kind::kText, setting.words};
    if (setting.form.words.empty()) {
      option.help += ": " + setting.form.range();
    } else {
      option.kind = Option::Kind::kChoice;
      option.choices = setting.form.words;
    }
    options.push_back(std::move(option));
  }
  options.push_back({"--unset", Option::Kind::kText,
                     owner == Owner::kPhone ? "a setting that is the profile's or the site's again"
                                            : "a setting that is the site's again",
                     false, true});
  return options;
}

Arguments without_settings(const Arguments& arguments, Owner owner) {
  Arguments others = arguments;
  for (const capf::PhoneSetting& setting : phone_settings()) {
    if (setting.may_have(owner)) others = others.without(option_of(setting));
  }
  return others;
}

}  // namespace capf::cli
