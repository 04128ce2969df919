#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "capf/base/error.h"
#include "capf/base/log.h"
#include "capf/domain/policy.h"
#include "capf/domain/setting.h"

namespace capf::daemon {

inline constexpr int kBasePort = 3804;

/// Where one service listens.
struct Listener {
  bool enabled = true;
  std::vector<std::string> addresses;  ///< IP addresses
  std::optional<int> port;             ///< absent: from the base port; 0: a free one
};

/// The limits for phones over gRPC. Calls: so many run at once and so many wait for their turn, further ones are
/// refused with OVERLOADED; callers without a client certificate have places of their own, so that they never delay the
/// others. Further connections are closed.
struct Limits {
  int calls_in_flight = 32;
  int calls_waiting = 128;
  int unauthenticated_calls_in_flight = 32;
  int unauthenticated_calls_waiting = 96;
  int enrolments = 10'000;                             ///< open calls of Enrol whose phones have proven who they are
  int connections = 16384;                             ///< and never more than a fifth of the process's descriptors
  int unauthenticated_connections = 8192;              ///< of all, those that have not proven a device yet
  int unauthenticated_connections_per_address = 4096;  ///< of those, from one IPv4 address or IPv6 /64
};

/// The phones' port that speaks the CAPF protocol.
struct WireSettings {
  bool legacy_phones = false;    ///< TLS 1.0 with AES128-SHA too
  bool conceal_devices = false;  ///< answers unknown and idle devices like refused ones
  std::chrono::seconds handshake{15};
  std::chrono::seconds first_answer{10};
  std::chrono::seconds answer{30};
  std::chrono::minutes key_generation{30};
  std::chrono::minutes keep_alive{15};
  int connections = 20000;
  int connections_per_address = 20000;
  int unauthenticated_connections = 10000;             ///< of all, those that have not proven a device yet
  int unauthenticated_connections_per_address = 5000;  ///< of those, from one address; half of them by default
  int handshakes = 64;
  int backlog = 4096;
};

/// The Trust Verification Service.
struct TvsSettings {
  bool legacy_phones = false;           ///< TLS 1.0 with AES128-SHA too
  std::chrono::seconds lifetime{3600};  ///< for which a phone may keep an answer
  std::chrono::seconds handshake{15};
  std::chrono::seconds question{10};
  int connections = 10000;
  int connections_per_address = 5000;
  int handshakes = 64;
  int backlog = 4096;
};

/// Phones' files over HTTP and HTTPS.
struct FilesSettings {
  std::filesystem::path statics;  ///< the folder of files that are served as they are, relative to the state directory
  std::filesystem::path publish;  ///< a folder that is kept up to date for other servers; the same
  std::chrono::minutes publish_period{5};
  int memory_mib = 256;     ///< for static files
  int connections = 10000;  ///< of each of the two ports
  int connections_per_address = 1000;
  std::filesystem::path source;  ///< folder of the site's own configuration files; empty: none
  std::vector<CapfHost> tvs;     ///< in phones' configuration files
};

/// The service for relying parties over HTTP.
struct StatusSettings {
  std::chrono::seconds crl_interval{60};  ///< for a revocation to appear on the CRL, at most
  std::chrono::hours crl_validity{168};   ///< from thisUpdate to nextUpdate
  std::chrono::seconds ocsp_cache{2};     ///< how long an answer is reused
  std::chrono::minutes ocsp_validity{5};  ///< from thisUpdate to nextUpdate
  int connections = 10000;                ///< where one more comes, the one idle for longest is closed
  int connections_per_address = 1000;
};

struct DatabaseSettings {
  std::string server = "host=/run/postgresql user=capf_server dbname=capf";  ///< libpq's connection string
  std::string owner = "host=/run/postgresql user=capf_owner dbname=capf";    ///< for `capfd` migrate and archive alone
  int pool_size = 16;
};

/// The PKCS #11 token that may hold keys of issuers, the list signer and the file signer.
struct TokenSettings {
  std::string module;  ///< path of the token's library; empty: each URI has a module-path of its own
  std::string pin;     ///< its source, for read_secret(); files relative to the state directory
  int sessions = 8;    ///< at once, at most
};

/// The ages at which `capfd archive` moves records from the database into files.
struct ArchiveSettings {
  std::filesystem::path directory = "archive";  ///< relative to the state directory
  std::chrono::days audit{400};                 ///< after an event was sealed
  std::chrono::days certificates{400};          ///< after a certificate has expired
  std::chrono::days operations{400};            ///< after an operation has ended
};

/// The contents of `capfd.toml`, checked. deploy/capfd.toml has every key with its unit and its default.
struct Configuration {
  std::filesystem::path state_directory;       ///< default: the folder of the file
  int base_port = kBasePort;                   ///< 0: every listener takes a free port
  std::string public_host;                     ///< default: the machine's full name
  std::string status_url;                      ///< default: http://<public_host>:<base port + 3>
  std::string passphrase = "file:passphrase";  ///< of the keys, for read_secret(); files relative to the state
  DatabaseSettings database;
  /// How long a start waits for an address that the machine does not have yet.
  std::chrono::seconds listen_patience{120};
  /// Proxies that name their clients on the phones' and administrators' ports by a PROXY header.
  std::vector<Network> trusted_proxies;
  Listener wire_listener{.enabled = true, .addresses = {"0.0.0.0", "::"}, .port = {}};
  Listener phone{.enabled = true, .addresses = {"0.0.0.0", "::"}, .port = {}};
  Listener admin{.enabled = true, .addresses = {"127.0.0.1", "::1"}, .port = {}};
  Listener status_listener{.enabled = true, .addresses = {"0.0.0.0", "::"}, .port = {}};
  Listener metrics{.enabled = true, .addresses = {"127.0.0.1"}, .port = {}};
  Listener calls{.enabled = false, .addresses = {"127.0.0.1"}, .port = {}};
  Listener files_listener{.enabled = false, .addresses = {"0.0.0.0", "::"}, .port = {}};
  Listener files_tls_listener{.enabled = false, .addresses = {"0.0.0.0", "::"}, .port = {}};
  Listener tvs_listener{.enabled = false, .addresses = {"0.0.0.0", "::"}, .port = {}};
  WireSettings wire;
  TvsSettings tvs;
  FilesSettings files;
  StatusSettings status;
  SitePolicy policy;
  std::vector<std::filesystem::path> weak_keys;  ///< lists of keys that are refused, absolute
  Limits limits;
  ArchiveSettings archive;
  TokenSettings token;
  std::chrono::hours check_period{24};  ///< between two checks of the issued LSCs
  LogLevel log_level = LogLevel::kInfo;

  /// With the defaults, null string from loopback among them.
  Configuration();

  int wire_port() const { return port_of(wire_listener, 0); }
  int phone_port() const { return port_of(phone, 1); }
  int admin_port() const { return port_of(admin, 2); }
  int status_port() const { return port_of(status_listener, 3); }
  int metrics_port() const { return port_of(metrics, 5); }
  int files_port() const { return port_of(files_listener, 6); }
  int files_tls_port() const { return port_of(files_tls_listener, 7); }
  int tvs_port() const { return port_of(tvs_listener, 8); }
  int calls_port() const { return port_of(calls, 9); }

 private:
  int port_of(const Listener& listener, int offset) const {
    return listener.port.value_or(base_port == 0 ? 0 : base_port + offset);
  }
};

/// The result of reading a file: where there are faults, the configuration must not be used.
struct LoadedConfiguration {
  Configuration configuration;
  std::vector<std::string> faults;                ///< "FILE:LINE: words", all of them where the file can be parsed
  Reason reason = Reason::kInvalidConfiguration;  ///< SECRET_EXPOSED where that is the only kind of fault
};

/// Reads TOML. Every key is checked, one that is not known is a fault.
/// @param name of the file, for the faults and for paths relative to its folder.
LoadedConfiguration parse_configuration(const std::string& toml, const std::filesystem::path& name);
LoadedConfiguration load_configuration(const std::filesystem::path& file);
/// The same with that reason, and a message that has every fault on a line of its own.
Result<Configuration> read_configuration(const std::filesystem::path& file);

/// The whole configuration as a file that parses to it, every key with its value.
std::string to_toml(const Configuration& configuration);
/// A TOML basic string, with its quotes.
std::string toml_text(const std::string& text);

}  // namespace capf::daemon
