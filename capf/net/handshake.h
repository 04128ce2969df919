#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "capf/base/time.h"
#include "capf/net/places.h"
#include "capf/net/stream.h"

namespace capf::net {

/// How long a client may wait in line for its handshake, or for its question to be heard: a phone that is not served
/// begins again after 30 s.
inline constexpr std::chrono::seconds kInLine{30};

/// Accepts a stranger's handshake. It has a place while the server works on it.
/// @param block the neighbours among whom it waits: Address::block(). @param patience for the ClientHello, and again
/// for the rest. @param running counts the handshakes that have a place. What comes by reference outlives the
/// coroutine.
asio::awaitable<TlsStream::End> shake_hands(TlsStream& stream, Places& places, std::string block, Duration patience,
                                            std::atomic<std::int64_t>& running);

}  // namespace capf::net
