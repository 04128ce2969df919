#pragma once

#include <cstddef>
#include <optional>

#include "capf/base/bytes.h"
#include "capf/base/endpoint.h"
#include "capf/base/error.h"

namespace capf::net {

/// The longest header of a proxy that is read, with its additions.
inline constexpr std::size_t kLargestProxyHeader = 536;

/// The contents of a proxy's header as far as its octets have come.
struct ProxyHeader {
  std::size_t needs = 0;           ///< octets needed in all before the next look; 0: it is whole
  std::optional<Endpoint> source;  ///< the proxy's client; absent where the proxy connects for itself, or does not say
};

/// Reads a header of the PROXY protocol, version 2: haproxy's doc/proxy-protocol.txt 2.2.
///
///   0  12  signature 0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A
///   12  1  version 2 | command: 0 LOCAL, 1 PROXY
///   13  1  family: 0 unspecified, 1 IPv4, 2 IPv6 | transport: 0 unspecified, 1 stream
///   14  2  octets that follow
///   16     source and destination address (4 or 16 octets each), their ports (2 each)
///          additions: type (1), length (2), value
///
/// @param data not more than the header: read as many octets as `needs` says, step by step.
/// Errors: MESSAGE_MALFORMED as soon as the octets cannot become such a header, as with version 1.
Result<ProxyHeader> read_proxy_header(BytesView data);

}  // namespace capf::net
