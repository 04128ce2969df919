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

  /// An IPv6 address is in brackets. Errors: INVALID_CONFIGURATION.
  static Result<Endpoint> parse(std::string_view text);
  std::string to_string() const;
  /// 127.0.0.0/8 or ::1
  bool is_loopback() const;
  /// 0.0.0.0 or ::
  bool is_wildcard() const;
  bool operator==(const Endpoint&) const = default;
};

/// Whether it is a host name by RFC 952 and 1123, without an underscore, or an IP address without a zone.
bool is_host(const std::string& text);

/// The endpoints of `addresses` on which a server can listen, with real ports: where the port is 0, a free one, the
/// same for all of them. On a machine without IPv6, ::1 and :: are left out, with a line in the log. Another process
/// may take the port before the server does: then ask again. Errors: INVALID_CONFIGURATION where none is left, or an
/// address is not this machine's, or a port is taken.
Result<std::vector<Endpoint>> plan_endpoints(const std::vector<std::string>& addresses);

/// Whether a server can listen on it now. It may come later: by DHCP, as a floating address, or once IPv6 has checked
/// it for duplicates.
bool is_of_this_machine(const Address& address);

}  // namespace capf
