#include "capf/base/endpoint.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <system_error>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "capf/base/descriptor.h"
#include "capf/base/log.h"

namespace capf {
namespace {

constexpr int kTriesForAPort = 32;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

SocketAddress socket_address(const Endpoint& endpoint) {
  SocketAddress result;
  const std::string text = endpoint.address.to_string();
  if (endpoint.address.is_ipv4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    ::inet_pton(AF_INET, text.c_str(), &v4.sin_addr);
    std::memcpy(&result.storage, &v4, sizeof v4);
    result.size = sizeof v4;
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    ::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr);
    std::memcpy(&result.storage, &v6, sizeof v6);
    result.size = sizeof v6;
  }
  return result;
}

/// A bound socket, or errno.
tl::expected<Descriptor, int> bind_to(const Endpoint& endpoint) {
  Descriptor socket(::socket(endpoint.address.is_ipv4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return tl::unexpected<int>(errno);
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!endpoint.address.is_ipv4()) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  const SocketAddress address = socket_address(endpoint);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0) {
    return tl::unexpected<int>(errno);
  }
  return socket;
}

std::uint16_t port_of(const Descriptor& socket) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&storage), &size) != 0) return 0;
  // sin_port and sin6_port are at the same offset (POSIX: after the family)
  sockaddr_in v4{};
  std::memcpy(&v4, &storage, sizeof v4);
  return ntohs(v4.sin_port);
}

bool without_ipv6(const Endpoint& endpoint, int error) {
  return !endpoint.address.is_ipv4() && (endpoint.is_loopback() || endpoint.is_wildcard()) &&
         (error == EAFNOSUPPORT || error == EADDRNOTAVAIL);
}

tl::unexpected<Error> cannot_listen(const Endpoint& endpoint, int error) {
  return fail(Reason::kInvalidConfiguration, "cannot listen on " + endpoint.to_string() + ": " +
                                                 std::error_code(error, std::generic_category()).message());
}

/// Binds all of them at the port of the first, and closes them again. @return nothing where another socket has that
/// port.
Result<std::optional<std::vector<Endpoint>>> try_endpoints(std::vector<Endpoint> endpoints) {
  const bool any_port = endpoints.front().port == 0;
  std::vector<Descriptor> sockets;
  std::vector<Endpoint> left;
  std::uint16_t port = 0;
  for (Endpoint& endpoint : endpoints) {
    if (any_port) endpoint.port = port;
    auto socket = bind_to(endpoint);
    if (!socket) {
      if (without_ipv6(endpoint, socket.error())) {
        log_warning("listener.left_out", {{"address", endpoint.to_string()}, {"cause", "this machine has no IPv6"}});
        continue;
      }
      if (any_port && port != 0 && socket.error() == EADDRINUSE) return std::nullopt;
      return cannot_listen(endpoint, socket.error());
    }
    if (any_port && port == 0) endpoint.port = port = port_of(*socket);
    sockets.push_back(*std::move(socket));
    left.push_back(endpoint);
  }
  if (left.empty()) return cannot_listen(endpoints.front(), EAFNOSUPPORT);
  return left;
}

}  // namespace

bool is_host(const std::string& text) {
  const auto accepted = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
  };
  if (Address::parse(text)) return text.find('%') == std::string::npos;  // a zone has no meaning on another machine
  if (text.empty() || text.size() > 253 || !std::all_of(text.begin(), text.end(), accepted) || text.front() == '-' ||
      text.front() == '.') {
    return false;
  }
  // RFC 1123 2.1: the last label of a host name has a letter; without one the text is an address that is none.
  const std::string last = text.substr(text.substr(0, text.size() - 1).rfind('.') + 1);
  return std::any_of(last.begin(), last.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const auto refuse = [&] {
    return fail(Reason::kInvalidConfiguration,
                "'" + std::string(text) + "' is no address with a port such as 127.0.0.1:3805 or [::1]:3805");
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return refuse();
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = Address::parse(host);
  if (!address || bracketed != (host.find(':') != std::string_view::npos)) return refuse();
  Endpoint endpoint{*address, 0};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return refuse();
  return endpoint;
}

std::string Endpoint::to_string() const {
  const std::string host = address.to_string();
  return (address.is_ipv4() ? host : '[' + host + ']') + ':' + std::to_string(port);
}

bool Endpoint::is_loopback() const {
  const std::string host = address.to_string();
  return address.is_ipv4() ? host.starts_with("127.") : host == "::1";
}

bool Endpoint::is_wildcard() const {
  const std::string host = address.to_string();
  return host == "0.0.0.0" || host == "::";
}

bool is_of_this_machine(const Address& address) {
  const auto socket = bind_to({address, 0});
  return socket || socket.error() != EADDRNOTAVAIL || without_ipv6({address, 0}, socket.error());
}

Result<std::vector<Endpoint>> plan_endpoints(const std::vector<std::string>& addresses) {
  if (addresses.empty()) return fail(Reason::kInvalidConfiguration, "a listener has at least one address");
  std::vector<Endpoint> endpoints;
  for (const std::string& text : addresses) {
    CAPF_LET(const Endpoint endpoint, Endpoint::parse(text));
    if (std::find(endpoints.begin(), endpoints.end(), endpoint) == endpoints.end()) endpoints.push_back(endpoint);
  }
  for (int i = 0; i < kTriesForAPort; ++i) {
    CAPF_LET(auto left, try_endpoints(endpoints));
    if (left) return *std::move(left);
  }
  return fail(Reason::kInvalidConfiguration, "found no port that is free on every address");
}

}  // namespace capf
