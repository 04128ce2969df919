#include "capf/cli/devices.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iostream>
#include <unordered_set>

namespace capf::cli {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::string unquoted(std::string_view text) {
  text = trimmed(text);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  return std::string(text);
}

bool is_title(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text == "device" || text == "device name" || text == "device_name";
}

bool is_hex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }

}  // namespace

Result<std::vector<DeviceLine>> parse_device_lines(std::istream& lines) {
  std::vector<DeviceLine> devices;
  std::string line;
  bool first = true;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    std::string_view rest = line;
    if (number == 1 && rest.substr(0, 3) == "\xEF\xBB\xBF") rest.remove_prefix(3);
    if (unquoted(rest).empty() || trimmed(rest).front() == '#') continue;
    const auto comma = rest.find_first_of(",;");
    DeviceLine device{unquoted(rest.substr(0, comma)), {}};
    if (comma != std::string_view::npos) {
      rest.remove_prefix(comma + 1);
      device.model = unquoted(rest.substr(0, rest.find_first_of(",;")));
    }
    const bool title = first && is_title(device.device);
    first = false;
    if (title) continue;
    if (device.device.empty()) {
      return fail(Reason::kInvalidRequest, "line " + std::to_string(number) + " names no device");
    }
    devices.push_back(std::move(device));
  }
  return devices;
}

Result<std::vector<DeviceLine>> named_devices(const Arguments& arguments) {
  std::vector<DeviceLine> devices;
  for (const std::string& name : arguments.list("DEVICE")) devices.push_back({name, {}});
  if (arguments.has("--file")) {
    const std::string path = arguments.text("--file");
    std::ifstream file;
    if (path != "-") {
      file.open(path);
      if (!file) return fail(Reason::kInvalidRequest, path + " cannot be read");
    }
    CAPF_LET(const auto lines, parse_device_lines(path == "-" ? std::cin : file));
    devices.insert(devices.end(), lines.begin(), lines.end());
  }
  std::unordered_set<std::string> seen;
  std::vector<DeviceLine> unique;
  for (DeviceLine& device : devices) {
    if (!seen.insert(device.device).second) continue;
    if (device.model.empty()) device.model = arguments.text("--model");
    unique.push_back(std::move(device));
  }
  if (unique.empty()) return fail(Reason::kInvalidRequest, "name at least one DEVICE, or a --file of them");
  return unique;
}

std::string serial_or_device(std::string_view text) {
  std::string_view digits = text;
  const bool prefixed = digits.size() > 2 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
  if (prefixed) digits.remove_prefix(2);
  const bool with_colons = digits.find(':') != std::string_view::npos;
  // A name of hexadecimal digits alone could be either; at the length of our serial numbers it is a serial number.
  if (!prefixed && !with_colons && digits.size() < 30) return std::string(text);
  std::string serial;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (with_colons && i % 3 == 2) {
      if (digits[i] != ':') return std::string(text);
    } else if (is_hex(digits[i])) {
      serial += static_cast<char>(std::tolower(static_cast<unsigned char>(digits[i])));
    } else {
      return std::string(text);
    }
  }
  return serial;
}

Option devices_file_option() {
  return {"--file", Option::Kind::kFile, "CSV file with one device a line, '-' for standard input"};
}

}  // namespace capf::cli
