#include "capf/cli/devices.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <iostream>
#include <unordered_map>

#include "capf/client/site.h"
#include "capf/domain/device.h"

namespace capf::cli {
namespace {

constexpr std::size_t kLargestInput = std::size_t{16} << 20U;
constexpr std::size_t kRemarksShown = 5;
constexpr std::size_t kMacDigits = 12;
constexpr std::array<std::string_view, 2> kPrefixes{"SEP", "ATA"};

bool is_hex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }
char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

/// The twelve digits of "00:11:22:33:44:55", "00-11-22-33-44-55", "00 11 ...", "0011.2233.4455", "001122-334455",
/// "001122334455": groups of one length with one sign between them.
std::optional<std::string> digits_of_mac(std::string_view text) {
  std::string digits;
  std::size_t group = 0;   // the length of the first one
  std::size_t length = 0;  // of this one
  char between = 0;
  for (const char c : text) {
    if (is_hex(c)) {
      digits += upper(c);
      ++length;
      continue;
    }
    if ((c != ':' && c != '-' && c != '.' && c != ' ') || (between != 0 && c != between)) return std::nullopt;
    if (length == 0 || (group != 0 && length != group)) return std::nullopt;
    between = c;
    group = length;
    length = 0;
  }
  const bool even = group == 0 || (length == group && (group == 2 || group == 4 || group == 6));
  if (digits.size() != kMacDigits || !even) return std::nullopt;
  return digits;
}

std::string taken_as(const std::string& text, const std::string& name) {
  return text + " is taken as " + name + ", the name that this phone comes by";
}

std::string place_of(std::size_t line) { return line == 0 ? "the command line" : "line " + std::to_string(line); }

}  // namespace

std::optional<std::string> name_of_mac(std::string_view text, std::string_view prefix) {
  for (const std::string_view each : kPrefixes) {
    const bool begins = text.size() > each.size() && std::equal(each.begin(), each.end(), text.begin(),
                                                                [](char a, char b) { return a == upper(b); });
    if (!begins) continue;
    prefix = each;
    text.remove_prefix(each.size());
    break;
  }
  auto digits = digits_of_mac(text);
  if (!digits) return std::nullopt;
  return std::string(prefix) + *digits;
}

std::string as_device(const std::string& text, bool as_written) {
  const auto name = as_written ? std::nullopt : name_of_mac(text);
  if (!name || *name == text) return text;
  warn(taken_as(text, *name));
  return *name;
}

std::string named_device(const Arguments& arguments, const std::string& option) {
  return as_device(arguments.text(option), arguments.has("--as-written"));
}

std::string named_certificate(const Arguments& arguments) {
  return serial_or_device(named_device(arguments, "SERIAL|DEVICE"));
}

DeviceList read_devices(const std::vector<std::string>& names, std::string_view file, bool as_written) {
  static const std::vector<SheetColumn> columns{{"device", {"device name", "mac", "mac address"}}, {"model"}};
  DeviceList list;
  for (const std::string& name : names) list.devices.push_back({name, {}, 0});
  Sheet sheet = read_sheet(file, columns);
  list.faults = std::move(sheet.faults);
  for (Sheet::Row& row : sheet.rows) {
    list.devices.push_back({std::move(row.cells[0]), std::move(row.cells[1]), row.line});
  }

  std::unordered_map<std::string_view, std::size_t> seen;  // device to line
  std::size_t renamed = 0;
  for (DeviceLine& line : list.devices) {
    const auto name = as_written ? std::nullopt : name_of_mac(line.device);
    if (name && *name != line.device) {
      if (++renamed <= kRemarksShown) {
        list.remarks.push_back(taken_as(line.device, *name));
      }
      line.device = *name;
    }
    const auto device = DeviceName::parse(line.device);
    if (line.line == 0) {
      if (!device) list.faults.add('"' + line.device + "\": " + device.error().message);
    } else {
      if (!device) list.faults.add(line.line, sheet.places[0], line.device, device.error().message);
      const auto model = check_model(line.model);
      if (!model) list.faults.add(line.line, sheet.places[1], line.model, model.error().message);
    }
    const auto [before, added] = seen.emplace(line.device, line.line);
    if (added) continue;
    list.faults.add(line.device + " stands twice: " + place_of(before->second) + ", " + place_of(line.line));
  }
  if (renamed > kRemarksShown) {
    list.remarks.push_back(std::to_string(renamed - kRemarksShown) + " more MAC addresses likewise");
  }
  return list;
}

Result<std::string> read_input(const std::string& path) {
  if (path != "-") return client::read_file(path, kLargestInput);
  std::string text(kLargestInput + 1, '\0');
  std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::cin.gcount()));
  if (text.size() > kLargestInput) {
    return fail(Reason::kInvalidRequest, "standard input is larger than " + std::to_string(kLargestInput) + " octets");
  }
  return text;
}

capf::Status report_faults(const Faults& faults, const std::string& path) {
  if (faults.count() == 0) return {};
  const std::string file = path == "-" ? "standard input" : path;
  const std::string place = file + ": ";
  for (const std::string& words : faults.words()) warn(place + words);
  if (faults.count() == 1) return fail(Reason::kInvalidRequest, "nothing was done: " + file + " has a fault");
  return fail(Reason::kInvalidRequest,
              "nothing was done: " + file + " has " + std::to_string(faults.count()) + " faults" +
                  (faults.count() > faults.words().size() ? ", of which the first are shown" : ""));
}

Result<std::vector<DeviceLine>> named_devices(const Arguments& arguments) {
  const std::string path = arguments.text("--file");
  std::string file;
  if (arguments.has("--file")) {
    CAPF_LET(file, read_input(path));
  }
  DeviceList list = read_devices(arguments.list("DEVICE"), file, arguments.has("--as-written"));
  CAPF_TRY(report_faults(list.faults, arguments.has("--file") ? path : "the command line"));
  for (const std::string& remark : list.remarks) warn(remark);
  if (list.devices.empty()) {
    return fail(Reason::kInvalidRequest,
                arguments.has("--file") ? path + " names no device" : "name at least one DEVICE, or a --file of them");
  }
  for (DeviceLine& device : list.devices) {
    if (device.model.empty()) device.model = arguments.text("--model");
  }
  return std::move(list.devices);
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
  return {"--file", Option::Kind::kFile,
          "CSV file with one device a line, or the columns device and model; '-' for standard input"};
}

Option as_written_option() {
  return {"--as-written", Option::Kind::kFlag, "take names as they are; else a MAC address is the phone's: SEP..."};
}

}  // namespace capf::cli
