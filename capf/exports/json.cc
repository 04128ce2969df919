#include <utility>

#include "capf/exports/formats.h"

namespace capf::exports {
namespace {

void write_device(const Device& device, Text& out) {
  out << R"({"device":")" << device.name.text() << R"(","mode":")" << to_string(device.mode) << R"(","lsc_sha256":)";
  if (device.lsc) {
    out << '"' << to_hex(*device.lsc) << "\"}";
  } else {
    out << "null}";
  }
}

Status write(const User& user, Text& out) {
  CAPF_LET(const std::string name, json_string(kName, user.name));
  CAPF_LET(const std::string realm, json_string(kRealm, user.realm));
  out << R"({"user":)" << name << R"(,"realm":)" << realm << R"(,"ha1_md5":")" << user.ha1.md5.text()
      << R"(","ha1_sha256":")" << user.ha1.sha256.text() << R"(","ha1_sha512_256":")" << user.ha1.sha512_256.text()
      << R"(","devices":[)";
  std::string_view comma;
  for (const Device& device : user.devices) {
    out << std::exchange(comma, ",");
    write_device(device, out);
  }
  out << "]}\n";
  return {};
}

}  // namespace

Dialect json() { return {"json", "", write}; }

}  // namespace capf::exports
