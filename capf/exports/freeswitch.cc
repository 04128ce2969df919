#include <algorithm>

#include "capf/exports/formats.h"

namespace capf::exports {
namespace {

/// FreeSWITCH drops each line that has <include> in it, so they stand alone.
constexpr std::string_view kBegin =
    R"(<include>
<!-- Written by capfctl. Included within a domain of the directory whose name is the realm of these users. -->
)";

void write_variable(std::string_view name, std::string_view value, Text& out) {
  out << "      <variable name=\"" << name << "\" value=\"" << value << "\"/>\n";
}

/// SRTP is asked for where all phones of the user have it, and offered where some do.
void write_media(const std::vector<Device>& devices, Text& out) {
  const auto is_encrypted = [](const Device& device) { return device.mode == DeviceMode::kEncrypted; };
  if (!std::any_of(devices.begin(), devices.end(), is_encrypted)) return;
  const bool all = std::all_of(devices.begin(), devices.end(), is_encrypted);
  write_variable("rtp_secure_media", all ? "mandatory" : "optional", out);
}

Status write_device(const Device& device, Text& out) {
  CAPF_LET(const std::string name, xml_attribute("a phone's name", device.name.text()));
  write_variable("capf_mode_" + name, to_string(device.mode), out);
  if (device.lsc) write_variable("capf_lsc_" + name, to_hex(*device.lsc), out);
  return {};
}

Status write(const User& user, Text& out) {
  CAPF_LET(const std::string name, xml_attribute(kName, user.name));
  CAPF_LET(const std::string realm, xml_attribute(kRealm, user.realm));
  out << "  <user id=\"" << name << "\">\n    <params>\n      <param name=\"a1-hash\" value=\"" << user.ha1.md5.text()
      << "\"/>\n    </params>\n    <variables>\n";
  write_variable("capf_realm", realm, out);
  write_media(user.devices, out);
  for (const Device& device : user.devices) CAPF_TRY(write_device(device, out));
  out << "    </variables>\n  </user>\n";
  return {};
}

}  // namespace

Dialect freeswitch() { return {"freeswitch", kBegin, write, "</include>\n"}; }

}  // namespace capf::exports
