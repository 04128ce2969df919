#include "capf/daemon/configuration.h"

#include <cstdio>

#include <toml++/toml.h>

#include "capf/base/secret.h"
#include "capf/daemon/section.h"
#include "capf/daemon/settings.h"
#include "storage/conninfo.h"

namespace capf::daemon {
namespace {

constexpr std::uintmax_t kLargestFile = std::uintmax_t{1024} * 1024;

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
                        {"metrics", configuration.metrics, configuration.metrics_port()},
                        {"files", configuration.files_listener, configuration.files_port()},
                        {"files_tls", configuration.files_tls_listener, configuration.files_tls_port()},
                        {"tvs", configuration.tvs_listener, configuration.tvs_port()},
                        {"calls", configuration.calls, configuration.calls_port()}};
  for (const Entry& a : entries) {
    for (const Entry& b : entries) {
      if (&a < &b && a.port != 0 && a.port == b.port && a.listener.enabled && b.listener.enabled) {
        faults.push_back(file + ": listen." + a.name + " and listen." + b.name + " both take port " +
                         std::to_string(a.port));
      }
    }
  }
}

/// Reads the table of a group, and those that are in it.
void read_group(const Group& group, Section section, Configuration& configuration) {
  for (const Setting& setting : group.settings) setting.kind.read(section, setting.key, configuration);
  for (const Group& inner : groups()) {
    const std::size_t dot = inner.path.rfind('.');
    const bool within = group.path == (dot == std::string::npos ? "" : inner.path.substr(0, dot));
    if (within && &inner != &group) read_group(inner, section.section(inner.path.substr(dot + 1)), configuration);
  }
  section.finish();
}

}  // namespace

Configuration::Configuration() {
  policy.null_string_networks = {*Network::parse("127.0.0.0/8"), *Network::parse("::1/128")};
  policy.device_names = usual_device_names();
}

LoadedConfiguration parse_configuration(const std::string& toml, const std::filesystem::path& name) {
  LoadedConfiguration loaded;
  const std::string file = name.string();
  try {
    const toml::table table = toml::parse(toml, file);
    loaded.configuration.state_directory = std::filesystem::absolute(name).parent_path();
    read_group(groups().front(), Section(file, "", &table, loaded.faults), loaded.configuration);
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
    checks.push_back(library ? Status() : Status(fail(library.error())));
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
  std::string file;
  for (const Group& group : groups()) {
    if (!group.path.empty()) file += "\n[" + group.path + "]\n";
    for (const Setting& setting : group.settings) {
      const std::string value = setting.kind.write(configuration);
      file += setting.kind.table ? "\n[" + group.path + "." + setting.key + "]\n" + value
                                 : setting.key + " = " + value + "\n";
    }
  }
  return file;
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
