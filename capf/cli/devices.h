#pragma once

#include <istream>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/error.h"
#include "capf/cli/command.h"

namespace capf::cli {

struct DeviceLine {
  std::string device;
  std::string model;  ///< empty where the line has none
};

/// One device a line: its name, and after a comma or semicolon its model. Empty lines, lines that begin with '#', a
/// first line "device…" and what follows the second column are passed over; quotes around a field are removed.
/// Errors: INVALID_REQUEST with the number of the line that has no name.
Result<std::vector<DeviceLine>> parse_device_lines(std::istream& lines);

/// The devices named on the command line and those of --file ("-": standard input), without repetitions; lines
/// without a model get --model. Errors: INVALID_REQUEST, also where there is none.
Result<std::vector<DeviceLine>> named_devices(const Arguments& arguments);

/// What people paste as a serial number ("0A:1B:2C", "0x0a1b2c", upper case) as the services spell it; everything else,
/// above all a device name, unchanged.
std::string serial_or_device(std::string_view text);

Option devices_file_option();

}  // namespace capf::cli
