#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

// capf/net/asio.h must come first: see there.
// clang-format off
#include "capf/net/asio.h"

#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
// clang-format on

#include "capf/base/log.h"
#include "capf/net/connections.h"
#include "capf/net/tls.h"
#include "capf/web/server.h"

// Connections with and without TLS share this: reading a request, and writing its answer, as HTTP has them.

namespace capf::web {

namespace beast = boost::beast;
namespace http = boost::beast::http;

using Parser = http::request_parser<http::string_body>;
using Message = http::response<http::string_body>;

inline constexpr std::size_t kPiece = 65536;  ///< of a large answer

/// The parts of a server that a connection needs; outlives every connection.
struct Shared {
  Shared(const ServerSettings& wanted, LaterRoute answers);

  /// Calls the route; where that throws, replies with 500.
  void answer(const Request& request, const Reply& reply);

  const ServerSettings settings;
  const LaterRoute route;
  net::Connections connections;
  net::CurrentTls tls;   ///< empty without TLS
  LogLimit failures{1};  ///< a second
};

void set_limits(Parser& parser, const ServerSettings& settings);
/// RFC 9110 10.1.1: whether the client waits for 100 (Continue) before it sends its content.
bool expects_to_go_on(const Parser::value_type& message);
/// The status for a request that cannot be read; nothing where the client has gone.
std::optional<int> status_for(net::error_code error);
/// @return the request, or nothing where the message is no valid one; then `refusal` says why
std::optional<Request> request_of(const Parser::value_type& message, const Address& peer, Response& refusal);
/// The answer's head, with the length of its body.
Message head_of(const Response& response, bool keep_alive);

/// The time that a large answer has had. Threads: one.
class Sending {
 public:
  using Moment = std::chrono::steady_clock::time_point;
  explicit Sending(Moment now) : begun_(now) {}
  /// Whether the client takes it too slowly.
  bool is_over(const ServerSettings& settings, std::uint64_t sent, Moment now) const;

 private:
  Moment begun_;
};

/// Serves requests over TLS on a socket whose executor is a strand.
void serve_tls(net::tcp::socket socket, net::Connections::Place place, const Endpoint& peer, Shared& shared);

}  // namespace capf::web
