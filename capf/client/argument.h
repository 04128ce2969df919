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

/// Which of them is not UTF-8, in words that quote nothing: it could be a secret. Nothing else can be sent or shown.
/// Errors: INVALID_REQUEST.
Status check_encoding(const std::vector<std::string>& arguments);

/// What --string names: the digits themselves, or "-" for the first line of standard input.
/// Errors: INVALID_AUTH_STRING for what is not 4 to 10 digits.
Result<Secret> read_auth_string(const std::string& argument);

}  // namespace capf::client
