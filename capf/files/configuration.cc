#include "capf/files/configuration.h"

#include <algorithm>
#include <cstring>
#include <set>

#include <pugixml.hpp>

#include "capf/base/utf8.h"
#include "capf/files/xml.h"

namespace capf::files {
namespace {

constexpr const char* kDevice = "device";
constexpr const char* kCertificateHash = "certHash";
constexpr const char* kEncrypted = "encrConfig";
constexpr const char* kFull = "fullConfig";
constexpr std::string_view kDeclaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
constexpr std::string_view kLineFeature = "9";
constexpr int kCapfPort = 3804;
constexpr std::string_view kSecrets[] = {"authPassword", "sshPassword", "phonePassword"};
/// The elements of a stub, in front of certHash and encrConfig.
constexpr std::string_view kOfStub[] = {"ipAddressMode", "loadInformation", "capfAuthMode", "capfList"};

tl::unexpected<Error> bad(const std::string& why) {
  return fail(Reason::kPhoneConfigurationMalformed, "the configuration is not usable: " + why);
}

/// Text that ends in NUL for the library, wiped afterwards.
class Terminated {
 public:
  explicit Terminated(std::string_view text) : octets_(text.begin(), text.end()) { octets_.push_back('\0'); }
  const char* get() const { return octets_.data(); }

 private:
  Botan::secure_vector<char> octets_;
};

/// Puts a text in place of everything in an element.
void fill(pugi::xml_node element, std::string_view text) {
  element.remove_children();
  if (!text.empty()) element.append_child(pugi::node_pcdata).set_value(Terminated(text).get());
}

/// The only child of that name: a second one is removed, and one that is missing is added on a line of its own.
pugi::xml_node only_child(pugi::xml_node parent, const char* name) {
  pugi::xml_node child = parent.child(name);
  if (!child) {
    child = parent.append_child(name);
    parent.append_child(pugi::node_pcdata).set_value("\n");
  }
  while (const pugi::xml_node another = child.next_sibling(name)) parent.remove_child(another);
  return child;
}

void set(pugi::xml_node parent, const char* name, std::string_view text) { fill(only_child(parent, name), text); }
void set(pugi::xml_node parent, const char* name, int number) { set(parent, name, std::to_string(number)); }

/// @param found of each element of the tree
template <class Found>
void walk(pugi::xml_node root, const Found& found) {
  struct Walker final : pugi::xml_tree_walker {
    explicit Walker(const Found& each) : found(each) {}
    bool for_each(pugi::xml_node& node) override { return found(node), true; }
    const Found& found;
  };
  Walker walker(found);
  root.traverse(walker);
}

/// Whether a node is a password's element, or may have one that somebody has taken out: a comment, an instruction.
bool is_secret(pugi::xml_node node) {
  if (node.type() == pugi::node_element) {
    return std::find(std::begin(kSecrets), std::end(kSecrets), std::string_view(node.name())) != std::end(kSecrets);
  }
  if (node.type() != pugi::node_comment && node.type() != pugi::node_pi) return false;
  const std::string_view text = node.value();
  return std::any_of(std::begin(kSecrets), std::end(kSecrets),
                     [&](std::string_view secret) { return text.find(secret) != std::string_view::npos; });
}

/// Of the whole document: comments stand beside its element too. Inner ones first, so that each is still there when its
/// turn comes.
std::vector<pugi::xml_node> secrets_of(pugi::xml_node root) {
  std::vector<pugi::xml_node> secrets;
  walk(root, [&](pugi::xml_node node) {
    if (is_secret(node)) secrets.push_back(node);
  });
  std::reverse(secrets.begin(), secrets.end());
  return secrets;
}

std::vector<pugi::xml_node> lines_of(pugi::xml_node device) {
  std::vector<pugi::xml_node> lines;
  for (const pugi::xml_node profile : device.children("sipProfile")) {
    for (const pugi::xml_node list : profile.children("sipLines")) {
      for (const pugi::xml_node line : list.children("line")) {
        if (line.child_value("featureID") == kLineFeature) lines.push_back(line);
      }
    }
  }
  return lines;
}

int mode_code(DeviceMode mode) {
  switch (mode) {
    case DeviceMode::kNonsecure: return 1;
    case DeviceMode::kAuthenticated: return 2;
    case DeviceMode::kEncrypted: return 3;
  }
  CAPF_INVARIANT(false);
}

int transport_code(const ConfigurationValues& values) {
  if (values.mode != DeviceMode::kNonsecure) return 3;
  switch (values.transport) {
    case Transport::kTcp: return 1;
    case Transport::kUdp: return 2;
    case Transport::kBoth: return 4;
  }
  CAPF_INVARIANT(false);
}

int auth_code(AuthMode mode) {
  switch (mode) {
    case AuthMode::kString: return 1;
    case AuthMode::kNull: return 2;
    case AuthMode::kLsc: return 3;
    case AuthMode::kMic: return 4;
  }
  CAPF_INVARIANT(false);
}

void set_capf(pugi::xml_node device, const ConfigurationValues& values) {
  set(device, "capfAuthMode", values.capf_auth ? auth_code(*values.capf_auth) : 0);
  pugi::xml_node list = only_child(device, "capfList");
  list.remove_children();
  const std::vector<CapfHost> nowhere{{"", kCapfPort}};
  for (const CapfHost& host : values.capf_auth ? values.capf : nowhere) {
    pugi::xml_node server = list.append_child("capf");
    fill(server.append_child("phonePort"), std::to_string(host.port));
    fill(server.append_child("processNodeName"), host.host);
  }
}

void set_tvs(pugi::xml_node device, const std::vector<CapfHost>& servers) {
  pugi::xml_node members = only_child(only_child(device, "TVS"), "members");
  members.remove_children();
  int priority = 0;
  for (const CapfHost& server : servers) {
    pugi::xml_node member = members.append_child("member");
    member.append_attribute("priority").set_value(priority++);
    fill(member.append_child("port"), std::to_string(server.port));
    fill(member.append_child("address"), server.host);
  }
}

/// The device's own flags always; the same ones of its common profile and of all phones where they stand there, because
/// it is not known which of them wins.
void set_hardening(pugi::xml_node device, const std::vector<HardeningFlag>& flags) {
  for (const HardeningFlag& flag : flags) {
    const std::string name(flag.element);
    set(only_child(device, "vendorConfig"), name.c_str(), flag.text);
    for (const char* shared : {"commonConfig", "enterpriseConfig"}) {
      const pugi::xml_node config = device.child(shared);
      if (config.child(name.c_str())) set(config, name.c_str(), flag.text);
    }
  }
}

void set_digest(pugi::xml_node device, const ConfigurationValues& values) {
  for (pugi::xml_node line : lines_of(device)) {
    if (values.exclude_digest) {
      while (line.remove_child("authName")) {
      }
      while (line.remove_child("authPassword")) {
      }
    } else if (values.secrets && values.digest) {
      set(line, "authName", values.digest->user);
      set(line, "authPassword", values.digest->password.text());
    }
  }
}

void set_secrets(pugi::xml_node device, const ConfigurationValues& values) {
  if (!values.secrets) {
    for (pugi::xml_node secret : secrets_of(device.root())) secret.parent().remove_child(secret);
    return;
  }
  if (values.ssh_user) set(device, "sshUserId", *values.ssh_user);
  if (values.ssh_password) set(device, "sshPassword", values.ssh_password->text());
  if (values.phone_password) {
    set(only_child(device, "commonProfile"), "phonePassword", values.phone_password->text());
  }
}

Status check_texts(const ConfigurationValues& values) {
  std::vector<std::string_view> texts{values.certificate_hash};
  for (const CapfHost& host : values.capf) texts.push_back(host.host);
  if (values.tvs) {
    for (const CapfHost& host : *values.tvs) texts.push_back(host.host);
  }
  if (values.digest) texts.insert(texts.end(), {values.digest->user, values.digest->password.text()});
  if (values.ssh_user) texts.push_back(*values.ssh_user);
  if (values.ssh_password) texts.push_back(values.ssh_password->text());
  if (values.phone_password) texts.push_back(values.phone_password->text());
  if (std::all_of(texts.begin(), texts.end(), is_xml_text)) return {};
  return fail(Reason::kInvalidRequest, "a value has control characters or is not UTF-8: XML cannot have it");
}

/// Text without its byte order mark.
std::string_view without_mark(BytesView xml) {
  std::string_view text = as_text(xml);
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  return text;
}

/// Takes the declaration out; text() writes one that is right. An encoding that is ASCII's own below 128 may be
/// declared where there is nothing else: a file that says UTF-7 would mean other characters.
Status take_declaration(pugi::xml_document& document, std::string_view text) {
  const pugi::xml_node declaration = document.first_child();
  if (declaration.type() != pugi::node_declaration) return {};
  const std::string_view encoding = declaration.attribute("encoding").as_string("UTF-8");
  const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
  const bool fits = equal_without_case(encoding, "UTF-8") ||
                    (ascii && (equal_without_case(encoding, "US-ASCII") || equal_without_case(encoding, "ISO-8859-1")));
  if (!fits) return bad("it is not UTF-8 but declares another encoding");
  document.remove_child(declaration);
  return {};
}

/// Refuses what the library takes although XML forbids it.
Status check_tree(const pugi::xml_document& document) {
  bool good = true;
  walk(document, [&](pugi::xml_node node) {
    if (std::strchr(node.value(), '\r') != nullptr || node.type() == pugi::node_declaration) good = false;
    std::set<std::string_view> names;
    for (const pugi::xml_attribute attribute : node.attributes()) {
      if (!names.insert(attribute.name()).second) good = false;
    }
  });
  if (!good) return bad("an element has an attribute twice, or a text has a carriage return");
  const pugi::xml_node device = document.document_element();
  if (std::string_view(device.name()) != kDevice) return bad("its root is not 'device'");
  if (std::string_view(device.child_value(kFull)) == "false") return bad("it is the stub of an encrypted file");
  return {};
}

class Written final : public pugi::xml_writer {
 public:
  void write(const void* data, std::size_t size) override { append({static_cast<const char*>(data), size}); }
  void append(std::string_view text) { octets_.insert(octets_.end(), text.begin(), text.end()); }
  Secret take() { return Secret(std::move(octets_)); }

 private:
  Botan::secure_vector<std::uint8_t> octets_;
};

Secret write(const pugi::xml_document& document, unsigned format) {
  Written written;
  written.append(kDeclaration);
  document.save(written, "  ", format | pugi::format_no_declaration, pugi::encoding_utf8);
  if ((format & pugi::format_raw) != 0) written.append("\n");
  return written.take();
}

}  // namespace

Configuration::Configuration(std::unique_ptr<pugi::xml_document> document) : document_(std::move(document)) {}
Configuration::Configuration(Configuration&&) noexcept = default;
Configuration& Configuration::operator=(Configuration&&) noexcept = default;
Configuration::~Configuration() = default;

Result<Configuration> Configuration::parse(BytesView xml) {
  const std::string_view text = without_mark(xml);
  CAPF_TRY(scan_xml(text));
  auto document = std::make_unique<pugi::xml_document>();
  constexpr unsigned kAll =
      pugi::parse_default | pugi::parse_comments | pugi::parse_pi | pugi::parse_declaration | pugi::parse_ws_pcdata;
  const pugi::xml_parse_result parsed = document->load_buffer(text.data(), text.size(), kAll, pugi::encoding_utf8);
  if (!parsed) return bad(parsed.description());
  CAPF_TRY(take_declaration(*document, text));
  CAPF_TRY(check_tree(*document));
  return Configuration(std::move(document));
}

std::vector<std::string> Configuration::lines() const {
  std::vector<std::string> names;
  for (const pugi::xml_node line : lines_of(document_->child(kDevice))) names.emplace_back(line.child_value("name"));
  return names;
}

Status Configuration::apply(const ConfigurationValues& values) {
  CAPF_TRY(check_texts(values));
  const pugi::xml_node device = document_->child(kDevice);
  const bool encrypted = !values.certificate_hash.empty();
  set_secrets(device, values);
  set_digest(device, values);
  set_hardening(device, values.hardening);
  if (values.tvs) set_tvs(device, *values.tvs);
  set(device, "deviceSecurityMode", mode_code(values.mode));
  set(device, "transportLayerProtocol", transport_code(values));
  set_capf(device, values);
  set(device, kCertificateHash, values.certificate_hash);
  set(device, kEncrypted, encrypted ? "true" : "false");
  if (encrypted) set(device, kFull, "true");
  return {};
}

void Configuration::mask() {
  for (pugi::xml_node secret : secrets_of(*document_)) {
    if (secret.type() == pugi::node_element) {
      fill(secret, "***");
    } else {
      secret.set_value(" *** ");
    }
  }
}

Secret Configuration::text() const { return write(*document_, pugi::format_raw); }

Bytes Configuration::stub() const {
  const pugi::xml_node device = document_->child(kDevice);
  pugi::xml_document stub;
  pugi::xml_node root = stub.append_child(kDevice);
  fill(root.append_child(kFull), "false");
  for (const pugi::xml_node child : device.children()) {
    const std::string_view name = child.name();
    const auto* const end = std::end(kOfStub);
    if (!name.empty() && std::find(std::begin(kOfStub), end, name) != end) root.append_copy(child);
  }
  fill(root.append_child(kCertificateHash), device.child_value(kCertificateHash));
  fill(root.append_child(kEncrypted), "true");
  for (pugi::xml_node secret : secrets_of(stub)) secret.parent().remove_child(secret);
  const Secret text = write(stub, pugi::format_indent);
  return {text.view().begin(), text.view().end()};
}

}  // namespace capf::files
