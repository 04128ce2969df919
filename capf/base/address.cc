#include "capf/base/address.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>

namespace capf {
namespace {

// RFC 4291 2.5.5.2
//    80 zero bits | FFFF | 32-bit IPv4 address
constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::array<std::uint8_t, 16> masked(std::array<std::uint8_t, 16> octets, int prefix) {
  for (int i = 0; i < 16; ++i) {
    const int kept = std::clamp(prefix - 8 * i, 0, 8);
    octets[static_cast<std::size_t>(i)] &= static_cast<std::uint8_t>(0xff00 >> kept);
  }
  return octets;
}

std::string ipv6_text(const std::array<std::uint8_t, 16>& octets) {
  char text[INET6_ADDRSTRLEN];
  return ::inet_ntop(AF_INET6, octets.data(), text, sizeof text);
}

}  // namespace

Result<Address> Address::parse(std::string_view text) {
  const std::string plain(text.substr(0, text.find('%')));
  Address address;
  if (plain.find('\0') == std::string::npos) {
    if (::inet_pton(AF_INET, plain.c_str(), address.octets_.data() + kMappedPrefix.size()) == 1) {
      std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), address.octets_.begin());
      return address;
    }
    if (::inet_pton(AF_INET6, plain.c_str(), address.octets_.data()) == 1) return address;
  }
  return fail(Reason::kInvalidRequest, "not an IP address");
}

Address Address::from_octets(std::span<const std::uint8_t> octets) {
  Address address;
  CAPF_INVARIANT(octets.size() == 4 || octets.size() == address.octets_.size());
  if (octets.size() == 4) std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), address.octets_.begin());
  std::copy(octets.begin(), octets.end(), address.octets_.end() - static_cast<std::ptrdiff_t>(octets.size()));
  return address;
}

bool Address::is_ipv4() const { return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), octets_.begin()); }

std::string Address::to_string() const {
  if (!is_ipv4()) return ipv6_text(octets_);
  char text[INET_ADDRSTRLEN];
  return ::inet_ntop(AF_INET, octets_.data() + kMappedPrefix.size(), text, sizeof text);
}

std::string Address::block() const { return is_ipv4() ? to_string() : ipv6_text(masked(octets_, 64)) + "/64"; }

Result<Network> Network::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = Address::parse(text.substr(0, slash));
  const bool zoned = text.find('%') != std::string_view::npos;  // a network has the same hosts on every link
  const auto refuse = [&] {
    return fail(Reason::kInvalidConfiguration,
                "'" + std::string(text) + "' is no network such as 10.0.0.0/8 or 2001:db8::/32");
  };
  if (!address || zoned) return refuse();
  Network network;
  network.address_ = *address;
  if (slash != std::string_view::npos) {
    const auto digits = text.substr(slash + 1);
    int prefix = -1;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
    const int most = address->is_ipv4() ? 32 : 128;
    if (parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size() || prefix < 0 || prefix > most) {
      return refuse();
    }
    network.prefix_ = prefix + (128 - most);
  }
  network.address_.octets_ = masked(network.address_.octets_, network.prefix_);
  return network;
}

bool Network::contains(const Address& address) const { return masked(address.octets_, prefix_) == address_.octets_; }

std::string Network::to_string() const {
  return address_.to_string() + "/" + std::to_string(address_.is_ipv4() ? prefix_ - 96 : prefix_);
}

}  // namespace capf
