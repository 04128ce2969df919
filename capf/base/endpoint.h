#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/address.h"
#include "capf/base/error.h"

namespace capf {

/// Where a server listens: "127.0.0.1:3805", "[::1]:3805".
struct Endpoint {
  Address address;
  std::uint16_t port = 0;

  /// An IPv6 address stands in brackets. Errors: INVALID_CONFIGURATION.
  static Result<Endpoint> parse(std::string_view text);
  std::string to_string() const;
  /// 127.0.0.0/8 or ::1
  bool is_loopback() const;
  /// 0.0.0.0 or ::
  bool is_wildcard() const;
  bool operator==(const Endpoint&) const = default;
};

/// What a server can listen on of what it was asked to, with real ports: where the port is 0, a free one, the same for
/// all of them. On a machine without IPv6, ::1 and :: are left out, with a line in the log. Another process may take
/// the port before the server does: then ask again.
/// Errors: INVALID_CONFIGURATION where nothing is left, or an address is not this machine's, or a port is taken.
Result<std::vector<Endpoint>> plan_endpoints(const std::vector<std::string>& addresses);

/// Whether a server can listen on it now: DHCP, a floating address and IPv6's search for doubles may bring it later.
bool is_of_this_machine(const Address& address);

}  // namespace capf
