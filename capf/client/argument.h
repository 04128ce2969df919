#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "capf/base/error.h"
#include "capf/base/secret.h"

namespace capf::client {

/// The arguments without the program's name. The value of `secret_option` ("--string") is overwritten in `argv`, so
/// that lists of processes show it only until this call.
std::vector<std::string> take_arguments(int argc, char** argv, std::string_view secret_option);

/// Checks that they are UTF-8, because only that can be sent or shown. The error does not quote the argument, which
/// could be a secret.
/// Errors: INVALID_REQUEST.
Status check_encoding(const std::vector<std::string>& arguments);

/// Reads the value of --string: the digits themselves, or "-" for the first line of standard input.
/// Errors: INVALID_AUTH_STRING unless it is 4 to 10 digits.
Result<Secret> read_auth_string(const std::string& argument);

/// Reads the next line of standard input, which holds a password. Errors: INVALID_PASSWORD where there is none, or a
/// longer one than any may be.
Result<Secret> read_password();

}  // namespace capf::client
