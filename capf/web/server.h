#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capf/base/address.h"
#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/net/tls.h"

namespace capf::web {

struct Request {
  std::string method;  ///< "GET", "HEAD", "POST"
  std::string path;    ///< without the query; not decoded
  std::string query;   ///< the part after '?'; may be empty
  std::string content_type;
  std::string accept;
  std::string if_none_match;
  Bytes body;
  Address peer;
  std::optional<Sha256> certificate;  ///< of the client, who has proven its key; on a server with TLS
};

/// The body of a large answer, read piece by piece. Threads: any.
class Source {
 public:
  virtual ~Source() = default;
  virtual std::uint64_t size() const = 0;
  /// @return how many octets were read: fewer than asked for at the end only.
  virtual Result<std::size_t> read(std::uint64_t offset, std::span<std::uint8_t> into) const = 0;
};

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::shared_ptr<const Source> source;                      ///< in place of `body`
  std::vector<std::pair<std::string, std::string>> headers;  ///< further ones, e.g. Cache-Control, Allow
};

/// A short text with a status.
Response text_response(int status, std::string_view words);

/// RFC 9110 13.1.2: whether the caller has this one already. @param tag with its quotes
bool has_tag(const std::string& if_none_match, const std::string& tag);

/// Answers one request. Called from any of the server's threads; may block; an exception becomes 500.
using Route = std::function<Response(const Request&)>;

/// To be called once, from any thread, during the server's life.
using Reply = std::function<void(Response)>;
/// Answers one request, now or later. Called from any of the server's threads; must not block.
using LaterRoute = std::function<void(const Request&, Reply)>;

struct ServerSettings {
  /// "127.0.0.1:3809", "[::1]:3809". Port 0 takes a free one, the same for every address.
  std::vector<std::string> addresses;
  bool loopback_only = true;  ///< refuses to listen anywhere else
  int threads = 2;
  /// Where one more comes, the one that has been idle for longest is closed; where none is idle, the new one.
  int connections = 64;
  int connections_per_address = 64;  ///< the same for one IPv4 address or IPv6 /64
  std::size_t largest_header = 8192;
  std::size_t largest_body = 0;  ///< 0: requests have none
  /// The time for a request to arrive, counted from the connection's start or the end of the answer before; and for an
  /// answer to leave, or each piece of a large one. Then the connection is closed.
  std::chrono::milliseconds timeout{20'000};
  std::chrono::minutes whole_answer{30};  ///< the time for all of a large answer
  std::uint64_t slowest = 8192;  ///< octets a second of a large answer, after `timeout`: a connection that takes fewer
                                 ///< would keep its place, which does not give way, for next to nothing
  std::shared_ptr<const net::TlsContext> tls{};  ///< absent: without TLS
  /// Is told of clients whose certificate ends the handshake; may be empty. Called from any of the threads; must not
  /// block.
  std::function<void(const Address& peer, Reason reason)> refused{};
};

/// A small HTTP/1.1 server.
class Server {
 public:
  /// Errors: INVALID_CONFIGURATION where an address cannot be listened on, or is not loopback though it must be.
  static Result<std::unique_ptr<Server>> start(const ServerSettings& settings, Route route);
  static Result<std::unique_ptr<Server>> start_later(const ServerSettings& settings, LaterRoute route);
  virtual ~Server() = default;

  virtual int port() const = 0;
  /// As in the settings, with the real port.
  virtual const std::vector<std::string>& addresses() const = 0;
  /// Shows another certificate to whoever connects from now on, on a server with TLS.
  virtual void replace_tls(std::shared_ptr<const net::TlsContext> tls) = 0;
  /// Stops listening and closes every connection. The destructor does so too.
  virtual void stop() = 0;
};

}  // namespace capf::web
