#include "capf/domain/device.h"

#include <algorithm>

namespace capf {
namespace {

bool is_alphanumeric(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_name_character(char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; }

}  // namespace

Result<DeviceName> DeviceName::parse(std::string_view text) {
  if (text.empty() || text.size() > 50 || !std::all_of(text.begin(), text.end(), is_name_character) ||
      !is_alphanumeric(text.front()) || !is_alphanumeric(text.back())) {
    return fail(Reason::kInvalidDeviceName);
  }
  return DeviceName(std::string(text));
}

Status check_model(std::string_view model) {
  const auto may_stand = [](char c) { return is_name_character(c) || c == ' '; };
  const bool is_model = model.size() <= 50 && std::all_of(model.begin(), model.end(), may_stand) &&
                        (model.empty() || (model.front() != ' ' && model.back() != ' '));
  if (is_model) return {};
  return fail(Reason::kInvalidRequest,
              "no model: it has up to 50 of A-Z, a-z, 0-9, '.', '_' and '-', and blanks between them");
}

Result<Pattern> Pattern::parse(std::string_view text) {
  const auto accepted = [](char c) { return is_name_character(c) || c == '*'; };
  if (text.empty() || text.size() > 64 || !std::all_of(text.begin(), text.end(), accepted)) {
    return fail(Reason::kInvalidPattern);
  }
  return Pattern(std::string(text));
}

Pattern Pattern::any() { return Pattern("*"); }

// Greedy matching with one point to return to: linear for names without '*', at worst name times pattern.
bool Pattern::matches(std::string_view name) const {
  std::size_t at = 0;
  std::size_t in_pattern = 0;
  std::size_t star = std::string::npos;
  std::size_t resume = 0;
  while (at < name.size()) {
    if (in_pattern < text_.size() && text_[in_pattern] == '*') {
      star = in_pattern++;
      resume = at;
    } else if (in_pattern < text_.size() && text_[in_pattern] == name[at]) {
      ++in_pattern;
      ++at;
    } else if (star != std::string::npos) {
      in_pattern = star + 1;
      at = ++resume;
    } else {
      return false;
    }
  }
  return text_.find_first_not_of('*', in_pattern) == std::string::npos;
}

}  // namespace capf
