#include <algorithm>

#include "capf/base/utf8.h"
#include "capf/exports/formats.h"

namespace capf::exports {
namespace {

/// An endpoint that names no transport takes any, as UDP and TCP need.
constexpr std::string_view kPjsipBegin =
    R"(; Written by capfctl. Included by pjsip.conf, which has a transport named transport-tls. An endpoint takes the template
; of its phone, [4711](SEP001122334455), or the credentials alone, auth = 4711-auth.

[capf-nonsecure](!)
type = endpoint
media_encryption = no

[capf-authenticated](!)
type = endpoint
transport = transport-tls
media_encryption = no

[capf-encrypted](!)
type = endpoint
transport = transport-tls
media_encryption = sdes
)";

constexpr std::string_view kChanSipBegin =
    R"(; Written by capfctl. Included by sip.conf, whose [general] has the realm of these users. Another file adds to a peer
; by [4711](+).
)";

/// The template of an endpoint on this phone.
void write_device(const Device& device, std::string_view auth, Text& out) {
  out << "\n[" << device.name.text() << "](!,capf-" << to_string(device.mode) << ")\nauth = " << auth
      << "\nset_var = CAPF_DEVICE=" << device.name.text() << '\n';
  if (device.lsc) out << "set_var = CAPF_LSC_SHA256=" << to_hex(*device.lsc) << '\n';
}

Status write_pjsip(const User& user, Text& out, void (*write_digests)(const Ha1&, Text&)) {
  CAPF_LET(const std::string auth, asterisk_section(kName, user.name + "-auth"));
  CAPF_LET(const std::string name, asterisk_value(kName, user.name));
  CAPF_LET(const std::string realm, asterisk_value(kRealm, user.realm));
  out << "\n[" << auth << "]\ntype = auth\nusername = " << name << "\nrealm = " << realm << '\n';
  write_digests(user.ha1, out);
  for (const Device& device : user.devices) write_device(device, auth, out);
  return {};
}

void write_md5_cred(const Ha1& ha1, Text& out) { out << "auth_type = md5\nmd5_cred = " << ha1.md5.text() << '\n'; }

void write_password_digests(const Ha1& ha1, Text& out) {
  out << "auth_type = digest\npassword_digest = MD5:" << ha1.md5.text()
      << "\npassword_digest = SHA-256:" << ha1.sha256.text()
      << "\npassword_digest = SHA-512-256:" << ha1.sha512_256.text() << '\n';
}

/// A peer serves all phones of its user: it takes every transport that one of them needs, and asks for SRTP where all
/// of them have it.
void write_media(const std::vector<Device>& devices, Text& out) {
  const auto is_secure = [](const Device& device) { return device.mode != DeviceMode::kNonsecure; };
  const auto is_encrypted = [](const Device& device) { return device.mode == DeviceMode::kEncrypted; };
  if (devices.empty()) return;
  const bool all_secure = std::all_of(devices.begin(), devices.end(), is_secure);
  const bool any_secure = std::any_of(devices.begin(), devices.end(), is_secure);
  const bool all_encrypted = std::all_of(devices.begin(), devices.end(), is_encrypted);
  out << "transport = "
      << (all_secure   ? "tls"
          : any_secure ? "tls,tcp,udp"
                       : "tcp,udp")
      << "\nencryption = " << (all_encrypted ? "yes" : "no") << '\n';
}

Status write_chan_sip(const User& user, Text& out) {
  CAPF_LET(const std::string name, asterisk_section(kName, user.name));
  if (equal_without_case(user.name, "general") || equal_without_case(user.name, "authentication")) {
    return fail(Reason::kInvalidRequest, "its name is that of another section of sip.conf");
  }
  out << "\n[" << name << "]\ntype = friend\nhost = dynamic\nmd5secret = " << user.ha1.md5.text() << '\n';
  write_media(user.devices, out);
  for (const Device& device : user.devices) {
    out << "setvar = CAPF_MODE_" << device.name.text() << '=' << to_string(device.mode) << '\n';
    if (device.lsc) out << "setvar = CAPF_LSC_" << device.name.text() << '=' << to_hex(*device.lsc) << '\n';
  }
  return {};
}

}  // namespace

Dialect asterisk_pjsip() {
  return {"asterisk-pjsip", kPjsipBegin,
          [](const User& user, Text& out) { return write_pjsip(user, out, write_md5_cred); }};
}

Dialect asterisk_pjsip_digests() {
  return {"asterisk-pjsip-digests", kPjsipBegin,
          [](const User& user, Text& out) { return write_pjsip(user, out, write_password_digests); }};
}

Dialect asterisk_chan_sip() { return {"asterisk-chan-sip", kChanSipBegin, write_chan_sip}; }

}  // namespace capf::exports
