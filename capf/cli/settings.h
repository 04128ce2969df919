#pragma once

#include <string>
#include <vector>

#include "capf/cli/command.h"
#include "capf/domain/setting.h"
#include "capf/v1/admin.pb.h"

// The settings of profiles and phones as options, which the table of settings makes.

namespace capf::cli {

/// "--encrypted-config" for "encrypted_config".
std::string option_of(const capf::PhoneSetting& setting);
/// The options of all settings that this owner may have, each with its values, and --unset.
std::vector<Option> setting_options(Owner owner);
/// The command line without them: a selection has options of the same names.
Arguments without_settings(const Arguments& arguments, Owner owner);

/// Fills `settings` and `unset` of a request.
template <class Request>
void add_settings(const Arguments& arguments, Owner owner, Request& request) {
  for (const capf::PhoneSetting& setting : phone_settings()) {
    const std::string option = option_of(setting);
    if (setting.may_have(owner) && arguments.has(option)) {
      (*request.mutable_settings())[setting.name] = arguments.text(option);
    }
  }
  for (std::string name : arguments.list("--unset")) {
    for (char& c : name) c = c == '-' ? '_' : c;
    request.add_unset(std::move(name));
  }
}

}  // namespace capf::cli
