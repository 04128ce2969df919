#pragma once

#include "capf/base/bytes.h"

namespace capf::net {

/// More than hello_needs() ever asks for.
inline constexpr std::size_t kMostOctetsForHello = (1 << 15) + 64;

/// How many octets must have arrived before a ClientHello can be whole: more than `data` has where it is not; 0 where
/// it is, or where these octets are no ClientHello at all. RFC 8446 4.1.2 and 5.1.
std::size_t hello_needs(BytesView data);

}  // namespace capf::net
