#include "capf/net/hello.h"

#include <algorithm>
#include <array>

#include "capf/base/element.h"

namespace capf::net {
namespace {

constexpr std::size_t kRecordHeader = 5;
constexpr std::size_t kHandshakeHeader = 4;
constexpr std::uint8_t kHandshakeRecord = 22;
constexpr std::uint8_t kClientHello = 1;
/// Far more than any phone's hello.
constexpr std::size_t kLongestHello = 16384;

}  // namespace

// The records of a handshake, and the message in them, which may be spread over several:
//   +------+---------+--------+------+-----------+---- - - -+------+---------+--------+---- - - -
//   |  22  | version | length |   1  |  length   | hello    |  22  | version | length | hello
//   +------+---------+--------+------+-----------+---- - - -+------+---------+--------+---- - - -
//   |<- record header (5) --->|<- message (4) -->|
std::size_t hello_needs(BytesView data) {
  std::size_t message = kHandshakeHeader;  // octets of the message needed so far
  std::size_t have = 0;
  std::array<std::uint8_t, kHandshakeHeader> header{};
  for (std::size_t at = 0; at < kLongestHello;) {
    if (at < data.size() && data[at] != kHandshakeRecord) return 0;
    if (data.size() < at + kRecordHeader) return at + kRecordHeader;
    const std::size_t length = read_16(data, at + 3);
    if (length == 0) return 0;
    const BytesView body = data.subspan(at + kRecordHeader);
    for (std::size_t i = 0; i < std::min(length, body.size()) && have + i < header.size(); ++i)
      header[have + i] = body[i];
    const std::size_t seen = have + std::min(length, body.size());
    if (seen > 0 && header[0] != kClientHello) return 0;
    if (seen >= kHandshakeHeader) {
      message = kHandshakeHeader + (static_cast<std::size_t>(header[1]) << 16 | read_16(header, 2));
      if (message > kLongestHello) return 0;
    }
    if (seen >= message) return 0;
    if (body.size() < length) return at + kRecordHeader + std::min(length, message - have);
    have += length;
    at += kRecordHeader + length;
  }
  return 0;
}

}  // namespace capf::net
