#pragma once

// The one way into Asio. Boost 1.74's awaitable.hpp uses std::exchange and does not include <utility>.
#include <utility>

// Boost 1.74 looks for clang's coroutines where they were before C++20.
#if defined(__clang__) && !defined(BOOST_ASIO_HAS_CO_AWAIT)
#define BOOST_ASIO_HAS_CO_AWAIT 1
#define BOOST_ASIO_HAS_STD_COROUTINE 1
#endif

#include <boost/asio/buffer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/write.hpp>

#include "capf/base/endpoint.h"

namespace capf::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

/// Conversions between Asio's endpoints and ours.
tcp::endpoint to_asio(const Endpoint& endpoint);
Endpoint from_asio(const tcp::endpoint& endpoint);
/// Whether the other side has closed or broken the connection, so that no further octets will come.
bool has_gone(int socket);
/// A listening socket: SO_REUSEADDR, IPv6 alone on an IPv6 address. Errors: INVALID_CONFIGURATION.
Result<tcp::acceptor> listen_on(asio::io_context& context, const Endpoint& endpoint,
                                int backlog = asio::socket_base::max_listen_connections);

}  // namespace capf::net
