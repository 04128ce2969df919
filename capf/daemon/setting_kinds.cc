#include "capf/daemon/setting_kinds.h"

namespace capf::daemon {

std::string range_of(int least, int most) { return std::to_string(least) + " to " + std::to_string(most); }

std::string quoted_alternatives(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "\"" : &word == &words.back() ? " or \"" : ", \"") + word + "\"";
  }
  return text;
}

std::string text_of(const std::string& text) { return text; }
std::string text_of(const std::filesystem::path& path) { return path.string(); }
std::string text_of(const Network& network) { return network.to_string(); }
std::string text_of(const Pattern& pattern) { return pattern.text(); }
std::string text_of(const CapfHost& host) { return to_string(host); }

std::string toml_list(const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : ", ") + toml_text(text);
  return "[" + list + "]";
}

Kind checked(Kind kind, const std::function<void(Section&, const std::string& key, Configuration&)>& check) {
  kind.read = [read = kind.read, check](Section& section, const std::string& key, Configuration& c) {
    read(section, key, c);
    check(section, key, c);
  };
  return kind;
}

}  // namespace capf::daemon
