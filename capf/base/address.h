#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "capf/base/error.h"

namespace capf {

/// An IPv4 or IPv6 address without a port. IPv4-mapped IPv6 (::ffff:192.0.2.1) counts as the IPv4 address.
class Address {
 public:
  /// "192.0.2.1", "2001:db8::1", also with a zone ("fe80::1%eth0", which is dropped). Errors: INVALID_REQUEST.
  static Result<Address> parse(std::string_view text);
  /// Of 4 or 16 octets, in the order of the network.
  static Address from_octets(std::span<const std::uint8_t> octets);
  /// The unspecified IPv6 address, for callers that did not come over the network.
  Address() = default;

  std::string to_string() const;
  /// The block that limits treat as one client: an IPv4 address itself, the /64 of an IPv6 address. "2001:db8::/64".
  std::string block() const;
  bool is_ipv4() const;
  /// fe80::/10, which is an address only together with a link.
  bool is_link_local() const { return octets_[0] == 0xfe && (octets_[1] & 0xc0) == 0x80; }

  bool operator==(const Address&) const = default;

 private:
  friend class Network;
  std::array<std::uint8_t, 16> octets_{};  ///< IPv4 as ::ffff:a.b.c.d
};

/// A range of addresses: "127.0.0.0/8", "::1/128", or one address.
class Network {
 public:
  /// Errors: INVALID_CONFIGURATION.
  static Result<Network> parse(std::string_view text);
  bool contains(const Address& address) const;
  std::string to_string() const;
  /// Of two networks that contain an address, the one with more bits is the narrower one. 0 to 128, IPv4 from 96.
  int bits() const { return prefix_; }

 private:
  Network() = default;
  Address address_;
  int prefix_ = 128;  ///< counted in the 128-bit form
};

}  // namespace capf
