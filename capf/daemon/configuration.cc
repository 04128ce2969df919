#include "capf/daemon/configuration.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include <sstream>

#include <toml++/toml.h>

#include "capf/base/address.h"
#include "capf/base/secret.h"
#include "capf/daemon/host.h"
#include "storage/conninfo.h"

namespace capf::daemon {
namespace {

constexpr std::uintmax_t kLargestFile = 1024 * 1024;
constexpr int kHoursOfDay = 24;

/// Reads the keys of one table, and knows which ones the program did not ask for.
class Section {
 public:
  Section(std::string file, std::string path, const toml::table* table, std::vector<std::string>& faults)
      : file_(std::move(file)), path_(std::move(path)), table_(table), faults_(faults) {}

  Section section(const std::string& key) {
    const toml::node* node = find(key);
    const toml::table* table = node == nullptr ? nullptr : node->as_table();
    if (node != nullptr && table == nullptr) fault(*node, key, "is a table: [" + path_ + key + "]");
    return {file_, path_ + key + ".", table, faults_};
  }
  void text(const std::string& key, std::string& value) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const auto found = node->value_exact<std::string>();
    if (!found) return fault(*node, key, "is a text in quotes");
    if (found->find('\0') != std::string::npos) return fault(*node, key, "has a zero character");
    value = *found;
  }
  void flag(const std::string& key, bool& value) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const auto found = node->value_exact<bool>();
    if (!found) return fault(*node, key, "is true or false");
    value = *found;
  }
  void number(const std::string& key, int least, int most, int& value) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const auto found = node->value_exact<std::int64_t>();
    if (!found || *found < least || *found > most) {
      return fault(*node, key, "is a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    }
    value = static_cast<int>(*found);
  }
  void texts(const std::string& key, std::vector<std::string>& values) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const toml::array* array = node->as_array();
    std::vector<std::string> found;
    const auto complain = [&] { fault(*node, key, "is a list of texts in quotes"); };
    if (array == nullptr) return complain();
    for (const toml::node& element : *array) {
      const auto text = element.value_exact<std::string>();
      if (!text) return complain();
      found.push_back(*text);
    }
    values = std::move(found);
  }

  /// A table whose keys are the file's own, each with a number. @return them in the order of the keys.
  std::vector<std::pair<std::string, int>> numbers(const std::string& key, int least, int most) {
    const toml::node* node = find(key);
    if (node == nullptr) return {};
    const toml::table* table = node->as_table();
    if (table == nullptr) {
      fault(*node, key, "is a table: [" + path_ + key + "]");
      return {};
    }
    Section section(file_, path_ + key + ".", table, faults_);
    std::vector<std::pair<std::string, int>> values;
    for (const auto& [name, value] : *table) {
      int number = 0;
      section.number(std::string(name.str()), least, most, number);
      values.emplace_back(name.str(), number);
    }
    return values;
  }

  /// Reports a fault in the value of `key`, with its line.
  void fault(const std::string& key, const std::string& words) {
    const toml::node* node = table_ == nullptr ? nullptr : table_->get(key);
    if (node != nullptr) return fault(*node, key, words);
    faults_.push_back(file_ + ": " + path_ + key + " " + words);
  }
  /// Every key that was not asked for is a fault.
  void finish() {
    if (table_ == nullptr) return;
    for (const auto& [key, node] : *table_) {
      const std::string name(key.str());
      if (asked_.find(name) == asked_.end()) fault(node, name, "is not known");
    }
  }

 private:
  const toml::node* find(const std::string& key) {
    asked_.insert(key);
    return table_ == nullptr ? nullptr : table_->get(key);
  }
  void fault(const toml::node& node, const std::string& key, const std::string& words) {
    faults_.push_back(file_ + ":" + std::to_string(node.source().begin.line) + ": " + path_ + key + " " + words);
  }

  std::string file_;
  std::string path_;  ///< "policy.", empty at the top
  const toml::table* table_;
  std::vector<std::string>& faults_;
  std::set<std::string> asked_;
};

std::vector<Network> loopback() { return {*Network::parse("127.0.0.0/8"), *Network::parse("::1/128")}; }

bool is_loopback(const Address& address) {
  const auto networks = loopback();
  return std::any_of(networks.begin(), networks.end(), [&](const Network& n) { return n.contains(address); });
}

void read_listener(Section& listen, const std::string& name, Listener& listener) {
  Section section = listen.section(name);
  section.flag("enabled", listener.enabled);
  section.texts("addresses", listener.addresses);
  int port = -1;
  section.number("port", 0, 65535, port);
  if (port >= 0) listener.port = port;
  if (listener.enabled && listener.addresses.empty())
    section.fault("addresses", "is empty; 'enabled = false' switches off");
  std::set<std::string> seen;
  for (const std::string& text : listener.addresses) {
    const auto address = Address::parse(text);
    if (!address) {
      section.fault("addresses", "has '" + text + "', which is no IP address");
    } else if (address->is_link_local()) {
      section.fault("addresses", "has " + text +
                                     ", an address of one link, which is not listened on by itself; \"::\" "
                                     "takes what comes to it");
    } else if (text.find('%') != std::string::npos) {
      section.fault("addresses", "has " + text + ": only link-local addresses have a zone");
    } else if (!seen.insert(text).second) {
      section.fault("addresses", "has " + text + " twice");
    } else if (name == "metrics" && !is_loopback(*address)) {
      // Beyond loopback, the metrics would need TLS and client certificates.
      section.fault("addresses", "has " + text + ", but metrics are given out on loopback addresses only");
    }
  }
  section.finish();
}

template <class Unit>
void read_time(Section& section, const std::string& key, int least, int most, Unit& time) {
  int count = static_cast<int>(time.count());
  section.number(key, least, most, count);
  time = Unit{count};
}

void read_wire(Section section, WireSettings& wire) {
  section.flag("legacy_phones", wire.legacy_phones);
  section.flag("conceal_devices", wire.conceal_devices);
  read_time(section, "handshake_seconds", 1, 300, wire.handshake);
  read_time(section, "first_answer_seconds", 1, 300, wire.first_answer);
  read_time(section, "answer_seconds", 1, 600, wire.answer);
  read_time(section, "key_generation_minutes", 1, 120, wire.key_generation);
  read_time(section, "keep_alive_minutes", 1, 60, wire.keep_alive);
  section.number("connections", 1, 1000000, wire.connections);
  section.number("connections_per_address", 1, 1000000, wire.connections_per_address);
  section.number("unauthenticated_connections", 1, 1000000, wire.unauthenticated_connections);
  wire.unauthenticated_connections_per_address = (wire.unauthenticated_connections + 1) / 2;
  section.number("unauthenticated_connections_per_address", 1, 1000000, wire.unauthenticated_connections_per_address);
  section.number("handshakes", 1, 10000, wire.handshakes);
  section.number("backlog", 1, 65535, wire.backlog);
  section.finish();
}

void read_status(Section section, StatusSettings& status) {
  read_time(section, "crl_interval_seconds", 1, 86400, status.crl_interval);
  read_time(section, "crl_validity_hours", 1, 8760, status.crl_validity);
  read_time(section, "ocsp_cache_seconds", 0, 60, status.ocsp_cache);
  read_time(section, "ocsp_validity_minutes", 2, 1440, status.ocsp_validity);
  section.number("connections", 1, 1000000, status.connections);
  section.number("connections_per_address", 1, 1000000, status.connections_per_address);
  section.finish();
}

std::vector<std::string> texts_of(const std::vector<Pattern>& patterns) {
  std::vector<std::string> texts;
  for (const Pattern& pattern : patterns) texts.push_back(pattern.text());
  return texts;
}

std::vector<std::string> texts_of(const std::vector<std::filesystem::path>& paths) {
  std::vector<std::string> texts;
  for (const std::filesystem::path& path : paths) texts.push_back(path.string());
  return texts;
}

void read_policy(Section section, SitePolicy& policy, const std::filesystem::path& state,
                 std::vector<std::filesystem::path>& weak_keys) {
  int days = static_cast<int>(policy.lsc_validity.count()) / kHoursOfDay;
  section.number("lsc_validity_days", 1, 1825, days);
  policy.lsc_validity = std::chrono::hours{kHoursOfDay} * days;
  std::string subject = policy.lsc_subject == SubjectForm::kPlain ? "plain" : "cisco";
  section.text("lsc_subject", subject);
  if (subject == "plain") {
    policy.lsc_subject = SubjectForm::kPlain;
  } else if (subject == "cisco") {
    policy.lsc_subject = SubjectForm::kCisco;
  } else {
    section.fault("lsc_subject", "is \"plain\" or \"cisco\"");
  }
  section.flag("allow_rsa_1024", policy.allow_rsa_1024);
  section.flag("self_service_upgrade", policy.self_service_upgrade);
  section.flag("require_fresh_proof", policy.require_fresh_proof);
  read_time(section, "superseded_grace_hours", 0, 8760, policy.superseded_grace);
  std::vector<std::string> names = texts_of(policy.device_names);
  section.texts("device_names", names);
  policy.device_names.clear();
  for (const std::string& text : names) {
    const auto pattern = Pattern::parse(text);
    if (pattern) {
      policy.device_names.push_back(*pattern);
    } else {
      section.fault("device_names", "has " + pattern.error().message);
    }
  }
  if (policy.device_names.empty()) section.fault("device_names", "names none: no device could be added");
  std::vector<std::string> lists;
  section.texts("weak_keys", lists);
  for (const std::string& path : lists) {
    if (path.empty()) section.fault("weak_keys", "has an empty path");
    weak_keys.push_back(state / path);
  }
  std::vector<std::string> networks;
  for (const Network& network : policy.null_string_networks) networks.push_back(network.to_string());
  section.texts("null_string_networks", networks);
  policy.null_string_networks.clear();
  for (const std::string& text : networks) {
    auto network = Network::parse(text);
    if (network) {
      policy.null_string_networks.push_back(*network);
    } else {
      section.fault("null_string_networks", "has " + network.error().message);
    }
  }
  section.finish();
}

bool is_status_url(const std::string& text) {
  const auto accepted = [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '<' && c != '>' && c != '\\'; };
  return text.starts_with("http://") && text.size() > 7 && text.size() <= 200 && text.back() != '/' &&
         std::all_of(text.begin(), text.end(), accepted);
}

void check_ports(const Configuration& configuration, const std::string& file, std::vector<std::string>& faults) {
  struct Entry {
    const char* name;
    const Listener& listener;
    int port;
  };
  const Entry entries[]{{"wire", configuration.wire_listener, configuration.wire_port()},
                        {"phone", configuration.phone, configuration.phone_port()},
                        {"admin", configuration.admin, configuration.admin_port()},
                        {"status", configuration.status_listener, configuration.status_port()},
                        {"metrics", configuration.metrics, configuration.metrics_port()}};
  for (const Entry& a : entries) {
    for (const Entry& b : entries) {
      if (&a < &b && a.port != 0 && a.port == b.port && a.listener.enabled && b.listener.enabled) {
        faults.push_back(file + ": listen." + a.name + " and listen." + b.name + " both take port " +
                         std::to_string(a.port));
      }
    }
  }
}

void read_proxies(Section& listen, std::vector<Network>& proxies) {
  std::vector<std::string> texts;
  listen.texts("trusted_proxies", texts);
  for (const std::string& text : texts) {
    const auto network = Network::parse(text);
    if (!network) {
      listen.fault("trusted_proxies", "has " + network.error().message);
    } else if (network->to_string().ends_with("/0")) {
      listen.fault("trusted_proxies", "has " + text + ": everybody would be believed");
    } else {
      proxies.push_back(*network);
    }
  }
}

void read_string_limits(Section& limits, SitePolicy& policy) {
  constexpr int kMostStrings = 1'000'000;
  limits.number("wrong_strings_per_address", 1, kMostStrings, policy.wrong_strings_per_address);
  for (const auto& [text, strings] : limits.numbers("wrong_strings_networks", 1, kMostStrings)) {
    const auto network = Network::parse(text);
    if (network) {
      policy.wrong_strings_networks.push_back({*network, strings});
    } else {
      limits.fault("wrong_strings_networks", "has " + network.error().message);
    }
  }
}

/// Reads the source of a secret: files relative to the state directory.
void read_source(Section& section, const std::string& key, const std::filesystem::path& state, std::string& source) {
  section.text(key, source);
  const auto kind = source.substr(0, source.find(':') + 1);
  if ((kind != "file:" && kind != "fd:" && kind != "env:" && kind != "credential:") || kind == source) {
    section.fault(key, "is file:PATH, fd:N, env:NAME or credential:NAME; never the " + key + " itself");
  } else if (kind == "file:") {
    source = kind + (state / source.substr(5)).string();
  }
}

void read_token(Section section, const std::filesystem::path& state, TokenSettings& token) {
  section.text("module", token.module);
  if (!token.module.empty() && !std::filesystem::path(token.module).is_absolute()) {
    section.fault("module", "is an absolute path");
  }
  std::string pin = token.pin;
  section.text("pin", pin);
  if (!pin.empty()) read_source(section, "pin", state, token.pin);
  section.number("sessions", 1, 256, token.sessions);
  section.finish();
}

void read_top(Section top, const std::filesystem::path& folder, Configuration& configuration) {
  std::string state = folder.string();
  top.text("state_directory", state);
  configuration.state_directory = (folder / state / "").lexically_normal().parent_path();
  top.number("base_port", 0, 65530, configuration.base_port);
  top.text("public_host", configuration.public_host);
  if (!configuration.public_host.empty() && !is_host(configuration.public_host)) {
    top.fault("public_host", "is neither a host name (letters, digits, '-' and '.') nor an IP address without a zone");
  }
  top.text("status_url", configuration.status_url);
  if (!configuration.status_url.empty() && !is_status_url(configuration.status_url)) {
    top.fault("status_url", "is http://HOST:PORT, without a slash at its end");
  }
  read_source(top, "passphrase", configuration.state_directory, configuration.passphrase);

  Section database = top.section("database");
  database.text("server", configuration.database.server);
  database.text("owner", configuration.database.owner);
  database.number("pool_size", 1, 500, configuration.database.pool_size);
  if (configuration.database.server.empty()) database.fault("server", "is empty");
  database.finish();

  Section listen = top.section("listen");
  read_listener(listen, "wire", configuration.wire_listener);
  read_listener(listen, "phone", configuration.phone);
  read_listener(listen, "admin", configuration.admin);
  read_listener(listen, "status", configuration.status_listener);
  read_listener(listen, "metrics", configuration.metrics);
  read_proxies(listen, configuration.trusted_proxies);
  read_time(listen, "patience_seconds", 0, 86400, configuration.listen_patience);
  listen.finish();

  read_wire(top.section("wire"), configuration.wire);
  read_status(top.section("status"), configuration.status);
  read_policy(top.section("policy"), configuration.policy, configuration.state_directory, configuration.weak_keys);

  Section limits = top.section("limits");
  read_string_limits(limits, configuration.policy);
  limits.number("calls_in_flight", 1, 10000, configuration.limits.calls_in_flight);
  limits.number("calls_waiting", 0, 100000, configuration.limits.calls_waiting);
  limits.number("unauthenticated_calls_in_flight", 1, 10000, configuration.limits.unauthenticated_calls_in_flight);
  limits.number("unauthenticated_calls_waiting", 0, 100000, configuration.limits.unauthenticated_calls_waiting);
  limits.number("connections", 1, 1000000, configuration.limits.connections);
  limits.number("unauthenticated_connections", 1, 1000000, configuration.limits.unauthenticated_connections);
  limits.number("unauthenticated_connections_per_address", 1, 1000000,
                configuration.limits.unauthenticated_connections_per_address);
  limits.finish();

  Section check = top.section("check");
  read_time(check, "period_hours", 1, 720, configuration.check_period);
  check.finish();

  Section archive = top.section("archive");
  std::string directory = configuration.archive.directory.string();
  archive.text("directory", directory);
  if (directory.empty()) archive.fault("directory", "is empty");
  configuration.archive.directory = directory;
  read_time(archive, "audit_days", 1, 36500, configuration.archive.audit);
  read_time(archive, "certificates_days", 30, 36500, configuration.archive.certificates);
  read_time(archive, "operations_days", 1, 36500, configuration.archive.operations);
  archive.finish();

  read_token(top.section("token"), configuration.state_directory, configuration.token);

  Section log = top.section("log");
  std::string level(to_string(configuration.log_level));
  log.text("level", level);
  if (const auto parsed = parse_log_level(level)) {
    configuration.log_level = *parsed;
  } else {
    log.fault("level", "is \"debug\", \"info\", \"warning\" or \"error\"");
  }
  log.finish();
  top.finish();
}

std::string toml_list(const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : ", ") + toml_text(text);
  return "[" + list + "]";
}

std::vector<std::string> texts_of(const std::vector<Network>& networks) {
  std::vector<std::string> texts;
  for (const Network& network : networks) texts.push_back(network.to_string());
  return texts;
}

void write_listener(std::ostream& out, const char* name, const Listener& listener, int port) {
  out << "\n[listen." << name << "]\n"
      << "enabled = " << (listener.enabled ? "true" : "false") << '\n'
      << "addresses = " << toml_list(listener.addresses) << '\n'
      << "port = " << port << '\n';
}

}  // namespace

Configuration::Configuration() {
  policy.null_string_networks = loopback();
  policy.device_names = usual_device_names();
}

LoadedConfiguration parse_configuration(const std::string& toml, const std::filesystem::path& name) {
  LoadedConfiguration loaded;
  const std::string file = name.string();
  try {
    const toml::table table = toml::parse(toml, file);
    read_top(Section(file, "", &table, loaded.faults), std::filesystem::absolute(name).parent_path(),
             loaded.configuration);
  } catch (const toml::parse_error& error) {
    loaded.faults.push_back(file + ":" + std::to_string(error.source().begin.line) + ": " +
                            std::string(error.description()));
    return loaded;
  }
  check_ports(loaded.configuration, file, loaded.faults);
  return loaded;
}

namespace {

/// Checks owner and mode of the files that the configuration names and the server relies on; those of secrets are
/// checked when they are read.
std::vector<Status> check_files(const Configuration& configuration, const std::filesystem::path& file) {
  std::vector<Status> checks{check_own_folder(configuration.state_directory)};
  std::error_code error;
  if (!configuration.token.module.empty() && std::filesystem::exists(configuration.token.module, error)) {
    const auto library = find_trusted_library(configuration.token.module);
    checks.push_back(library ? Status() : Status(tl::unexpected<Error>(library.error())));
  }
  for (const std::string& conninfo : {configuration.database.server, configuration.database.owner}) {
    if (storage::has_password(conninfo)) {
      auto kept = check_private(file);
      if (!kept) kept = fail(kept.error().reason, "it has a database's password, and " + kept.error().message);
      checks.push_back(std::move(kept));
    }
    for (const std::string& named : storage::trusted_files(conninfo)) {
      if (std::filesystem::exists(named, error)) checks.push_back(check_trusted(named));
    }
  }
  return checks;
}

}  // namespace

LoadedConfiguration load_configuration(const std::filesystem::path& file) {
  const auto refuse = [&](const std::string& words) {
    LoadedConfiguration loaded;
    loaded.faults.push_back(file.string() + ": " + words);
    return loaded;
  };
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return refuse("there is no such file; 'capfd init' makes a site");
  const auto toml = read_trusted_file(file, kLargestFile);
  if (!toml) return refuse(toml.error().message);
  LoadedConfiguration loaded = parse_configuration(std::string(as_text(*toml)), file);
  const bool parsed = loaded.faults.empty();
  for (const Status& checked : check_files(loaded.configuration, file)) {
    if (!checked && parsed && loaded.faults.empty()) loaded.reason = checked.error().reason;
    if (!checked && checked.error().reason != loaded.reason) loaded.reason = Reason::kInvalidConfiguration;
    if (!checked) loaded.faults.push_back(file.string() + ": " + checked.error().message);
  }
  return loaded;
}

Result<Configuration> read_configuration(const std::filesystem::path& file) {
  LoadedConfiguration loaded = load_configuration(file);
  if (loaded.faults.empty()) return std::move(loaded.configuration);
  std::string words;
  for (const std::string& fault : loaded.faults) words += (words.empty() ? "" : "\n") + fault;
  return fail(loaded.reason, words);
}

std::string to_toml(const Configuration& configuration) {
  const auto flag = [](bool value) { return value ? "true" : "false"; };
  std::ostringstream out;
  out << "state_directory = " << toml_text(configuration.state_directory.string()) << '\n'
      << "base_port = " << configuration.base_port << '\n'
      << "public_host = " << toml_text(configuration.public_host) << '\n'
      << "status_url = " << toml_text(configuration.status_url) << '\n'
      << "passphrase = " << toml_text(configuration.passphrase) << '\n'
      << "\n[database]\n"
      << "server = " << toml_text(configuration.database.server) << '\n'
      << "owner = " << toml_text(configuration.database.owner) << '\n'
      << "pool_size = " << configuration.database.pool_size << '\n'
      << "\n[listen]\n"
      << "trusted_proxies = " << toml_list(texts_of(configuration.trusted_proxies)) << '\n'
      << "patience_seconds = " << configuration.listen_patience.count() << '\n';
  write_listener(out, "wire", configuration.wire_listener, configuration.wire_port());
  write_listener(out, "phone", configuration.phone, configuration.phone_port());
  write_listener(out, "admin", configuration.admin, configuration.admin_port());
  write_listener(out, "status", configuration.status_listener, configuration.status_port());
  write_listener(out, "metrics", configuration.metrics, configuration.metrics_port());
  const WireSettings& wire = configuration.wire;
  out << "\n[wire]\n"
      << "legacy_phones = " << flag(wire.legacy_phones) << '\n'
      << "conceal_devices = " << flag(wire.conceal_devices) << '\n'
      << "handshake_seconds = " << wire.handshake.count() << '\n'
      << "first_answer_seconds = " << wire.first_answer.count() << '\n'
      << "answer_seconds = " << wire.answer.count() << '\n'
      << "key_generation_minutes = " << wire.key_generation.count() << '\n'
      << "keep_alive_minutes = " << wire.keep_alive.count() << '\n'
      << "connections = " << wire.connections << '\n'
      << "connections_per_address = " << wire.connections_per_address << '\n'
      << "unauthenticated_connections = " << wire.unauthenticated_connections << '\n'
      << "unauthenticated_connections_per_address = " << wire.unauthenticated_connections_per_address << '\n'
      << "handshakes = " << wire.handshakes << '\n'
      << "backlog = " << wire.backlog << '\n';
  const StatusSettings& status = configuration.status;
  out << "\n[status]\n"
      << "crl_interval_seconds = " << status.crl_interval.count() << '\n'
      << "crl_validity_hours = " << status.crl_validity.count() << '\n'
      << "ocsp_cache_seconds = " << status.ocsp_cache.count() << '\n'
      << "ocsp_validity_minutes = " << status.ocsp_validity.count() << '\n'
      << "connections = " << status.connections << '\n'
      << "connections_per_address = " << status.connections_per_address << '\n';
  out << "\n[policy]\n"
      << "lsc_validity_days = " << configuration.policy.lsc_validity.count() / kHoursOfDay << '\n'
      << "lsc_subject = " << (configuration.policy.lsc_subject == SubjectForm::kPlain ? "\"plain\"" : "\"cisco\"")
      << '\n'
      << "allow_rsa_1024 = " << flag(configuration.policy.allow_rsa_1024) << '\n'
      << "self_service_upgrade = " << flag(configuration.policy.self_service_upgrade) << '\n'
      << "require_fresh_proof = " << flag(configuration.policy.require_fresh_proof) << '\n'
      << "superseded_grace_hours = " << configuration.policy.superseded_grace.count() << '\n'
      << "device_names = " << toml_list(texts_of(configuration.policy.device_names)) << '\n'
      << "weak_keys = " << toml_list(texts_of(configuration.weak_keys)) << '\n'
      << "null_string_networks = " << toml_list(texts_of(configuration.policy.null_string_networks)) << '\n'
      << "\n[limits]\n"
      << "calls_in_flight = " << configuration.limits.calls_in_flight << '\n'
      << "calls_waiting = " << configuration.limits.calls_waiting << '\n'
      << "unauthenticated_calls_in_flight = " << configuration.limits.unauthenticated_calls_in_flight << '\n'
      << "unauthenticated_calls_waiting = " << configuration.limits.unauthenticated_calls_waiting << '\n'
      << "connections = " << configuration.limits.connections << '\n'
      << "unauthenticated_connections = " << configuration.limits.unauthenticated_connections << '\n'
      << "unauthenticated_connections_per_address = " << configuration.limits.unauthenticated_connections_per_address
      << '\n'
      << "wrong_strings_per_address = " << configuration.policy.wrong_strings_per_address << '\n'
      << "\n[limits.wrong_strings_networks]\n";
  for (const StringLimit& limit : configuration.policy.wrong_strings_networks) {
    out << toml_text(limit.network.to_string()) << " = " << limit.strings << '\n';
  }
  out << "\n[check]\n"
      << "period_hours = " << configuration.check_period.count() << '\n'
      << "\n[archive]\n"
      << "directory = " << toml_text(configuration.archive.directory.string()) << '\n'
      << "audit_days = " << configuration.archive.audit.count() << '\n'
      << "certificates_days = " << configuration.archive.certificates.count() << '\n'
      << "operations_days = " << configuration.archive.operations.count() << '\n'
      << "\n[token]\n"
      << "module = " << toml_text(configuration.token.module) << '\n'
      << "pin = " << toml_text(configuration.token.pin) << '\n'
      << "sessions = " << configuration.token.sessions << '\n'
      << "\n[log]\n"
      << "level = " << toml_text(std::string(to_string(configuration.log_level))) << '\n';
  return out.str();
}

std::string toml_text(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if ((c >= 0 && c < 0x20) || c == 0x7f) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
      quoted += escaped;
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace capf::daemon
