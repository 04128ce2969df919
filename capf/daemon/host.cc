#include "capf/daemon/host.h"

#include <memory>

#include <netdb.h>
#include <unistd.h>

#include "capf/base/address.h"
#include "capf/base/endpoint.h"
#include "capf/base/utf8.h"
#include "capf/daemon/endpoints.h"

namespace capf::daemon {
namespace {

constexpr int kStatusPortOffset = 3;
constexpr int kUsualTvsPort = 2445;

/// RFC 6761 6.3; and as distributions write it.
bool is_localhost(const std::string& name) {
  const std::string host = lower_case(name);
  return host == "localhost" || host == "localhost.localdomain" || host.ends_with(".localhost");
}

}  // namespace

std::string full_host_name() {
  char name[256] = "localhost";
  ::gethostname(name, sizeof name - 1);
  const std::string found(name);
  if (found.find('.') != std::string::npos) return found;
  addrinfo wanted{};
  wanted.ai_flags = AI_CANONNAME;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* answers = nullptr;
  if (::getaddrinfo(name, nullptr, &wanted, &answers) != 0 || answers == nullptr) return found;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(answers, &::freeaddrinfo);
  const std::string canonical = answers->ai_canonname == nullptr ? "" : answers->ai_canonname;
  return is_host(canonical) && canonical != "localhost" ? canonical : found;
}

std::string public_host(const Configuration& configuration) {
  return configuration.public_host.empty() ? full_host_name() : configuration.public_host;
}

std::string status_url(const Configuration& configuration) {
  if (!configuration.status_url.empty()) return configuration.status_url;
  const int base = configuration.base_port == 0 ? kBasePort : configuration.base_port;
  return "http://" + with_port(public_host(configuration), base + kStatusPortOffset);
}

service::PhoneServers phone_servers(const Configuration& configuration) {
  const std::string host = public_host(configuration);
  const auto server = [&](int port, int usual) {
    return CapfHost{host, static_cast<std::uint16_t>(port == 0 ? usual : port)};
  };
  service::PhoneServers servers{.capf = server(configuration.wire_port(), kBasePort)};
  if (!configuration.files.tvs.empty()) {
    servers.tvs = configuration.files.tvs;
  } else if (configuration.tvs_listener.enabled) {
    servers.tvs = std::vector{server(configuration.tvs_port(), kUsualTvsPort)};
  }
  return servers;
}

std::vector<std::string> doubts_of(const Configuration& configuration) {
  std::vector<std::string> doubts;
  const std::string url = status_url(configuration);
  std::string host = url.substr(std::string_view("http://").size());
  host = host.front() == '[' ? host.substr(1, host.find(']') - 1) : host.substr(0, host.find_first_of(":/"));
  const auto address = Address::parse(host);
  if (address ? Endpoint{*address}.is_loopback() || Endpoint{*address}.is_wildcard() : is_localhost(host)) {
    doubts.push_back("every LSC will name " + url +
                     " for its status, for as long as it is valid, and only this machine "
                     "reaches that: set public_host, or status_url, to what relying parties know");
  }
  if (configuration.public_host.empty() && !is_host(full_host_name())) {
    doubts.push_back("this machine is called '" + full_host_name() + "', which is no host name: set public_host");
  }
  return doubts;
}

}  // namespace capf::daemon
