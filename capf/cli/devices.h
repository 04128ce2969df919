#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/error.h"
#include "capf/cli/command.h"
#include "capf/cli/sheet.h"

namespace capf::cli {

struct DeviceLine {
  std::string device;
  std::string model;     ///< empty where the line has none
  std::size_t line = 0;  ///< of the file; 0: the command line
};

struct DeviceList {
  std::vector<DeviceLine> devices;
  std::vector<std::string> remarks;  ///< names that were corrected
  Faults faults;
};

/// The devices of the command line, and of a CSV file with the columns device (or device name, MAC, MAC address) and
/// model. Wrong names, wrong models in the file, and names that occur twice are faults.
/// @param as_written leaves names as they are; otherwise a MAC address becomes the name of its phone.
DeviceList read_devices(const std::vector<std::string>& names, std::string_view file, bool as_written);

/// The name of a desk phone, where the text is its MAC address in any usual form, or such a name in another case:
/// "SEP001122334455" for "0011.2233.4455", "00:11:22:33:44:55" and "sep001122334455".
/// @param prefix for a text that has none
std::optional<std::string> name_of_mac(std::string_view text, std::string_view prefix = "SEP");

/// The devices named on the command line and those of --file ("-": standard input); lines without a model get --model.
/// Remarks and faults go to standard error. Errors: INVALID_REQUEST, also where there is none.
Result<std::vector<DeviceLine>> named_devices(const Arguments& arguments);

/// A device as it stands, or by the name that the phone comes by where it is its MAC address, which is said on standard
/// error.
std::string as_device(const std::string& text, bool as_written);
/// The same of the device that the option names; --as-written leaves it.
std::string named_device(const Arguments& arguments, const std::string& option = "DEVICE");
/// The same of SERIAL|DEVICE, where twelve digits are a MAC address; else as serial_or_device().
std::string named_certificate(const Arguments& arguments);

/// A file that an option names, or standard input for "-", of 16 MiB at most. Errors: INVALID_REQUEST.
Result<std::string> read_input(const std::string& path);
/// Writes the faults to standard error. @return INVALID_REQUEST where there are any.
capf::Status report_faults(const Faults& faults, const std::string& path);

/// Converts a serial number in the usual forms ("0A:1B:2C", "0x0a1b2c", upper case) to the services' spelling; leaves
/// everything else, above all a device name, unchanged.
std::string serial_or_device(std::string_view text);

Option devices_file_option();
Option as_written_option();

}  // namespace capf::cli
