#include "capf/domain/line.h"

#include <algorithm>

namespace capf {

Status check_line_name(std::string_view name) {
  constexpr std::size_t kLongest = 64;
  constexpr std::string_view kOthers = "+*#@._-";
  const auto accepted = [&](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           kOthers.find(c) != std::string_view::npos;
  };
  if (name.empty() || name.size() > kLongest || !std::all_of(name.begin(), name.end(), accepted)) {
    return fail(Reason::kInvalidName, "a line's name has 1 to 64 letters, digits, '+', '*', '#', '@', '.', '_' or '-'");
  }
  return {};
}

}  // namespace capf
