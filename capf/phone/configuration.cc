#include "capf/phone/configuration.h"

#include <algorithm>

#include <pugixml.hpp>

#include "capf/base/endpoint.h"
#include "capf/base/utf8.h"

namespace capf::phone {
namespace {

constexpr std::size_t kMostHosts = 5;
constexpr std::size_t kHash = 32;  // MD5 in hexadecimal

tl::unexpected<Error> bad(const std::string& why) { return fail(Reason::kPhoneConfigurationMalformed, why); }

/// pugixml expands nothing but the five entities of XML and numbers, and does not recurse; it would skip a document
/// type, which no phone needs.
Status scan(std::string_view xml) {
  if (xml.size() > kLargestConfiguration) return bad("the configuration is larger than 1 MiB");
  if (find_not_utf8(xml)) return bad("the configuration is not UTF-8");
  const bool control = std::any_of(xml.begin(), xml.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r';
  });
  if (control) return bad("the configuration has control characters");
  if (xml.find("<!DOCTYPE") != std::string_view::npos) return bad("the configuration has a document type");
  return {};
}

bool is_true(const pugi::xml_node& device, const char* name, bool otherwise) {
  const pugi::xml_node node = device.child(name);
  return node ? std::string_view(node.text().get()) == "true" : otherwise;
}

/// "HOST:PORT". Nothing where there is no such host.
std::optional<std::string> read_host(const pugi::xml_node& node, const char* name, const char* port) {
  std::string host = node.child(name).text().get();
  const unsigned number = node.child(port).text().as_uint();
  if (!is_host(host) || number == 0 || number > 65535) return std::nullopt;
  if (host.find(':') != std::string::npos) host = '[' + host + ']';
  return host + ':' + std::to_string(number);
}

std::vector<std::string> read_hosts(const pugi::xml_node& list, const char* each, const char* name, const char* port) {
  std::vector<std::string> hosts;
  for (const pugi::xml_node& node : list.children(each)) {
    const auto host = read_host(node, name, port);
    if (host && hosts.size() < kMostHosts) hosts.push_back(*host);
  }
  return hosts;
}

bool has_digest_password(const pugi::xml_node& lines) {
  const auto range = lines.children("line");
  return std::any_of(range.begin(), range.end(),
                     [](const pugi::xml_node& line) { return !line.child("authPassword").text().empty(); });
}

/// A hash is shown, so it is only taken if it can be one.
std::string read_hash(const pugi::xml_node& device) {
  std::string hash = device.child("certHash").text().get();
  const bool is_hash = hash.size() == kHash && std::all_of(hash.begin(), hash.end(), [](char c) {
                         return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                       });
  return is_hash ? hash : std::string();
}

}  // namespace

Result<Configuration> read_configuration(BytesView xml) {
  CAPF_TRY(scan(as_text(xml)));
  pugi::xml_document document;
  if (!document.load_buffer(xml.data(), xml.size(), pugi::parse_default, pugi::encoding_utf8)) {
    return bad("the configuration is no XML");
  }
  const pugi::xml_node device = document.document_element();
  const auto roots = std::count_if(document.begin(), document.end(),
                                   [](const pugi::xml_node& node) { return node.type() == pugi::node_element; });
  if (roots != 1 || std::string_view(device.name()) != "device") return bad("the configuration is not one device's");
  Configuration found;
  found.full = is_true(device, "fullConfig", true);
  found.security_mode = device.child("deviceSecurityMode").text().as_int(1);
  found.transport = device.child("transportLayerProtocol").text().as_int();
  found.capf_mode = device.child("capfAuthMode").text().as_int();
  found.capf = read_hosts(device.child("capfList"), "capf", "processNodeName", "phonePort");
  found.tvs = read_hosts(device.child("TVS").child("members"), "member", "address", "port");
  found.certificate_hash = read_hash(device);
  found.encrypted = is_true(device, "encrConfig", false);
  found.digest_password = has_digest_password(device.child("sipProfile").child("sipLines"));
  return found;
}

}  // namespace capf::phone
