#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "capf/base/error.h"
#include "capf/base/secret.h"

namespace capf::client {

/// The arguments without the program's name. The value of `secret_option` ("--string") is overwritten in `argv`, so
/// that no list of processes shows it for longer than it takes to get here.
std::vector<std::string> take_arguments(int argc, char** argv, std::string_view secret_option);

/// What --string names: the digits themselves, or "-" for the first line of standard input.
/// Errors: INVALID_AUTH_STRING for what is not 4 to 10 digits.
Result<Secret> read_auth_string(const std::string& argument);

}  // namespace capf::client
