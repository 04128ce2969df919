#include "storage/settings.h"

#include <algorithm>

namespace capf::storage {

std::string settings_lines(const std::string& column) {
  return "(select coalesce(string_agg(key || '=' || value, chr(10)), '') from jsonb_each_text(" + column + "))";
}

Settings read_settings(Columns& columns) {
  const std::string lines = columns.text();
  Settings read;
  for (std::size_t begin = 0; begin < lines.size();) {
    const std::size_t end = std::min(lines.find('\n', begin), lines.size());
    const std::size_t equals = lines.find('=', begin);
    read.emplace(lines.substr(begin, equals - begin), lines.substr(equals + 1, end - equals - 1));
    begin = end + 1;
  }
  return read;
}

std::string json_of(const Settings& settings) {
  const auto quoted = [](const std::string& text) {
    std::string json = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') json += '\\';
      json += c;
    }
    return json + '"';
  };
  std::string json = "{";
  for (const auto& [name, value] : settings) {
    json += (json.size() > 1 ? "," : "") + quoted(name) + ":" + quoted(value);
  }
  return json + "}";
}

}  // namespace capf::storage
