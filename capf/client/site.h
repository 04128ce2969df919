#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/error.h"
#include "capf/base/secret.h"

namespace capf::client {

/// The servers of a site, the CA to trust for them, and the certificate to show.
struct Endpoint {
  std::vector<std::string> addresses;  ///< host:port, "[::1]:3806" for IPv6; any of them will do
  std::string trust_pem;               ///< the site CA's certificate: it alone vouches for servers
  std::string certificate_pem;         ///< ours with its chain; empty: none is shown
  Secret key_pem;
};

inline constexpr std::size_t kMostAddresses = 64;
/// "HOST:PORT", or several with commas between them. Errors: INVALID_REQUEST.
Result<std::vector<std::string>> parse_addresses(std::string_view list);

/// The addresses that `capfd run` wrote into the state directory, and into those of the site's other servers on this
/// machine, DIR/servers/NUMBER. Empty for a listener that does not exist.
struct Listeners {
  std::vector<std::string> phone;
  std::vector<std::string> admin;
  std::vector<std::string> wire;
  std::vector<std::string> files;      ///< HTTP
  std::vector<std::string> files_tls;  ///< HTTPS
  std::vector<std::string> tvs;
};

/// Errors: NO_SITE where there is no such directory; SERVER_NOT_REACHED where no server listens for it.
Result<Listeners> read_listeners(const std::filesystem::path& state);
/// DIR/certificates/site-ca.pem. Errors: NO_SITE.
Result<std::string> read_site_ca(const std::filesystem::path& state);

/// The certificates that the phones' port on the wire may show, now and next: wire.pem, wire-2.pem, wire-ec.pem in
/// DIR/certificates. Errors: NO_SITE.
Result<std::string> read_wire_certificates(const std::filesystem::path& state);

/// DIR/recovery-word and those of the site's other servers on this machine, as far as they can be read: while its
/// database is behind, each server accepts changes only from its own machine.
std::vector<Secret> read_recovery_words(const std::filesystem::path& state);

/// The whole file, at most `limit` octets. Errors: INVALID_REQUEST, with the file's name.
Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit);
/// The same for a file that says which server to trust: only the caller and root may be able to write it.
/// Errors: also INVALID_CONFIGURATION.
Result<std::string> read_trusted(const std::filesystem::path& path, std::size_t limit);

}  // namespace capf::client
