#include "capf/net/proxy.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace capf::net {
namespace {

constexpr std::array<std::uint8_t, 12> kSignature{0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D,
                                                  0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};
constexpr std::size_t kHead = 16;
constexpr std::uint8_t kLocal = 0x20;
constexpr std::uint8_t kProxy = 0x21;
constexpr std::uint8_t kUnspecified = 0x00;
constexpr std::uint8_t kTcpOverIpv4 = 0x11;
constexpr std::uint8_t kTcpOverIpv6 = 0x21;
constexpr std::size_t kHeadOfAddition = 3;

tl::unexpected<Error> malformed(const char* words) { return fail(Reason::kMessageMalformed, words); }

std::uint16_t number_at(BytesView data, std::size_t at) {
  return static_cast<std::uint16_t>(data[at] << 8 | data[at + 1]);
}

bool are_additions(BytesView data) {
  while (!data.empty()) {
    if (data.size() < kHeadOfAddition) return false;
    const std::size_t size = kHeadOfAddition + number_at(data, 1);
    if (data.size() < size) return false;
    data = data.subspan(size);
  }
  return true;
}

}  // namespace

Result<ProxyHeader> read_proxy_header(BytesView data) {
  const std::size_t known = std::min(data.size(), kSignature.size());
  if (!std::equal(kSignature.begin(), kSignature.begin() + static_cast<std::ptrdiff_t>(known), data.begin())) {
    return malformed("no header of the PROXY protocol, version 2");
  }
  if (data.size() < kHead) return ProxyHeader{kHead, std::nullopt};
  const std::uint8_t command = data[12];
  const std::uint8_t family = data[13];
  if (command != kLocal && command != kProxy) return malformed("a PROXY header of another version, or another command");
  const std::size_t whole = kHead + number_at(data, 14);
  if (whole > kLargestProxyHeader) return malformed("a PROXY header that is too long");
  // LOCAL comes with any family or none, and its addresses have no meaning.
  const bool tells = command == kProxy && family != kUnspecified;
  if (tells && family != kTcpOverIpv4 && family != kTcpOverIpv6) return malformed("a PROXY header for no TCP over IP");
  const std::size_t address = family == kTcpOverIpv4 ? 4 : 16;
  const std::size_t addresses = tells ? 2 * address + 4 : 0;
  if (whole < kHead + addresses) return malformed("a PROXY header without its addresses");
  if (data.size() < whole) return ProxyHeader{whole, std::nullopt};
  if (data.size() > whole) return malformed("more than a PROXY header");
  if (!tells) return ProxyHeader{};
  if (!are_additions(data.subspan(kHead + addresses))) return malformed("a PROXY header whose additions are cut off");
  return ProxyHeader{
      0, Endpoint{Address::from_octets(data.subspan(kHead, address)), number_at(data, kHead + 2 * address)}};
}

}  // namespace capf::net
