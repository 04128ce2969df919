#include "capf/domain/profile.h"

#include <set>

#include "capf/base/utf8.h"

namespace capf {
namespace {

bool is_plain_text(std::string_view text, std::size_t characters) {
  if (find_not_utf8(text) || cut_characters(text, characters) != text) return false;
  while (!text.empty()) {
    const char32_t c = take_code_point(text);
    if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return false;
  }
  return true;
}

}  // namespace

Status check_profile_name(std::string_view name) {
  const bool good = !name.empty() && is_plain_text(name, kLongestProfileName) && name.front() != ' ' &&
                    name.front() != '-' && name.back() != ' ';
  if (good) return {};
  return fail(Reason::kInvalidRequest,
              "a profile's name has 1 to 64 characters of UTF-8, none of them a control, no blank at either end, and "
              "does not begin with '-'");
}

Status check_profile_description(std::string_view description) {
  if (is_plain_text(description, kLongestProfileDescription)) return {};
  return fail(Reason::kInvalidRequest,
              "a profile's description has up to 200 characters of UTF-8, none of them a control");
}

Status change_settings(const Settings& set, const std::vector<std::string>& unset, Settings& settings) {
  for (const std::string& name : unset) {
    if (find_phone_setting(name) == nullptr) {
      return fail(Reason::kInvalidSetting, "there is no setting of that name");
    }
    if (set.contains(name)) return fail(Reason::kInvalidRequest, "the setting " + name + " is set and taken away");
    settings.erase(name);
  }
  for (const auto& [name, value] : set) settings.insert_or_assign(name, value);
  return {};
}

std::vector<std::string> different_settings(const Settings& one, const Settings& other) {
  std::set<std::string> names;
  const auto compare = [&](const Settings& these, const Settings& those) {
    for (const auto& [name, value] : these) {
      const auto same = those.find(name);
      if (same == those.end() || same->second != value) names.insert(name);
    }
  };
  compare(one, other);
  compare(other, one);
  return {names.begin(), names.end()};
}

std::string words_of(const Settings& settings) {
  std::string words;
  for (const auto& [name, value] : settings)
    words.append(words.empty() ? "" : " ").append(name).append("=").append(value);
  return words;
}

std::string words_of(const Settings& set, const std::vector<std::string>& unset) {
  std::string words = words_of(set);
  for (const std::string& name : unset) words += (words.empty() ? "without " : ", without ") + name;
  return words;
}

}  // namespace capf
