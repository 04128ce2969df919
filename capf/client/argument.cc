#include "capf/client/argument.h"

#include <algorithm>
#include <cstring>
#include <iostream>
#include <string>
#include <utility>

#include "capf/base/utf8.h"

namespace capf::client {
namespace {

void overwrite(char* text) {
  // "-" means standard input and is no secret.
  if (std::strcmp(text, "-") != 0) std::memset(text, 'x', std::strlen(text));
}

}  // namespace

std::vector<std::string> take_arguments(int argc, char** argv, std::string_view secret_option) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == secret_option && i + 1 < argc) {
      overwrite(argv[i + 1]);
    } else if (argument.size() > secret_option.size() && argument.substr(0, secret_option.size()) == secret_option &&
               argument[secret_option.size()] == '=') {
      overwrite(argv[i] + secret_option.size() + 1);
    }
  }
  return arguments;
}

Status check_encoding(const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (!find_not_utf8(arguments[i])) continue;
    return fail(Reason::kInvalidRequest, "argument " + std::to_string(i + 1) + " is not UTF-8; the terminal, or the " +
                                             "program that made it, is to use a UTF-8 locale");
  }
  return {};
}

Result<Secret> read_auth_string(const std::string& argument) {
  std::string digits = argument;
  if (argument == "-") std::getline(std::cin, digits);
  while (!digits.empty() && (digits.back() == '\r' || digits.back() == ' ')) digits.pop_back();
  const bool only_digits = std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (digits.size() < 4 || digits.size() > 10 || !only_digits) return fail(Reason::kInvalidAuthString);
  return Secret(std::string_view(digits));
}

Result<Secret> read_password() {
  constexpr std::size_t kLongestLine = 1024;
  Botan::secure_vector<std::uint8_t> line;
  line.reserve(kLongestLine);
  for (int c = std::cin.get(); c != std::char_traits<char>::eof() && c != '\n'; c = std::cin.get()) {
    if (line.size() == kLongestLine) return fail(Reason::kInvalidPassword);
    line.push_back(static_cast<std::uint8_t>(c));
  }
  if (!line.empty() && line.back() == '\r') line.pop_back();
  if (line.empty()) return fail(Reason::kInvalidPassword, "standard input has no password");
  return Secret(std::move(line));
}

}  // namespace capf::client
