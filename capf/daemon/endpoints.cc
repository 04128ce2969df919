#include "capf/daemon/endpoints.h"

#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "capf/base/address.h"
#include "capf/base/log.h"
#include "capf/base/secret.h"

namespace capf::daemon {
namespace {

/// Whether the machine can listen on an IPv6 address at all: not where IPv6 is switched off.
bool has_ipv6(const std::string& address) {
  const int fd = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_in6 wanted{};
  wanted.sin6_family = AF_INET6;
  const bool bound = ::inet_pton(AF_INET6, address.c_str(), &wanted.sin6_addr) != 1 ||
                     ::bind(fd, reinterpret_cast<const sockaddr*>(&wanted), sizeof wanted) == 0 ||
                     (errno != EADDRNOTAVAIL && errno != EAFNOSUPPORT);
  ::close(fd);
  return bound;
}

}  // namespace

std::string with_port(const std::string& address, int port) {
  const bool ipv6 = address.find(':') != std::string::npos;
  return (ipv6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

Result<std::vector<std::string>> listen_addresses(const std::string& listener,
                                                  const std::vector<std::string>& addresses, int port) {
  std::vector<std::string> usable;
  for (const std::string& address : addresses) {
    if (address.find(':') != std::string::npos && !has_ipv6(address)) {
      log_warning("listener.without_ipv6", {{"listener", listener}, {"address", address}});
    } else {
      usable.push_back(with_port(address, port));
    }
  }
  if (usable.empty()) {
    return fail(Reason::kInvalidConfiguration, "listen." + listener + ": this machine has none of its addresses");
  }
  return usable;
}

std::string dial_address(const std::vector<std::string>& listening) {
  CAPF_INVARIANT(!listening.empty());
  const std::string& first = listening.front();
  if (first.starts_with("0.0.0.0:")) return "127.0.0.1" + first.substr(first.rfind(':'));
  if (first.starts_with("[::]:")) return "[::1]" + first.substr(first.rfind(':'));
  return first;
}

std::string Endpoints::ready_line() const {
  std::string line = "capfd ready";
  if (phone) line += " phone=" + *phone;
  if (admin) line += " admin=" + *admin;
  if (metrics) line += " metrics=" + *metrics;
  return line;
}

std::string Endpoints::json(int pid) const {
  // Addresses and ports need no escaping.
  std::string text = "{\"pid\":" + std::to_string(pid);
  if (phone) text += ",\"phone\":\"" + *phone + "\"";
  if (admin) text += ",\"admin\":\"" + *admin + "\"";
  if (metrics) text += ",\"metrics\":\"" + *metrics + "\"";
  return text + "}\n";
}

Result<EndpointsFile> EndpointsFile::write(const std::filesystem::path& path, const Endpoints& endpoints) {
  std::filesystem::path aside = path;
  aside += ".new";
  std::error_code error;
  std::filesystem::remove(aside, error);
  CAPF_TRY(write_new_file(aside, as_bytes(endpoints.json(::getpid()))));
  std::filesystem::rename(aside, path, error);
  if (error) return fail(Reason::kInvalidConfiguration, path.string() + ": " + error.message());
  return EndpointsFile(path);
}

EndpointsFile::~EndpointsFile() {
  if (path_.empty()) return;
  std::error_code error;
  std::filesystem::remove(path_, error);
}

}  // namespace capf::daemon
