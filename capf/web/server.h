#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capf/base/address.h"
#include "capf/base/bytes.h"
#include "capf/base/error.h"

namespace capf::web {

struct Request {
  std::string method;  ///< "GET", "HEAD", "POST"
  std::string path;    ///< without the query; not decoded
  std::string query;   ///< what follows '?'; may be empty
  std::string content_type;
  Bytes body;
  Address peer;
};

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  ///< further ones, e.g. Cache-Control, Allow
};

/// A short text with a status.
Response text_response(int status, std::string_view words);

/// Answers one request. Called from any of the server's threads; may block; what it throws becomes 500.
using Route = std::function<Response(const Request&)>;

struct ServerSettings {
  /// "127.0.0.1:3809", "[::1]:3809". Port 0 takes a free one, the same for every address.
  std::vector<std::string> addresses;
  bool loopback_only = true;  ///< refuses to listen anywhere else
  int threads = 2;
  int connections = 64;  ///< further ones are closed at once
  std::size_t largest_header = 8192;
  std::size_t largest_body = 0;  ///< 0: requests have none
  /// For a request to arrive, from when the connection was made or the answer before has left; and for an answer to
  /// leave. Then the connection is closed.
  std::chrono::seconds timeout{20};
};

/// A small HTTP/1.1 server without TLS.
class Server {
 public:
  /// Errors: INVALID_CONFIGURATION where an address cannot be listened on, or is not loopback though it must be.
  static Result<std::unique_ptr<Server>> start(const ServerSettings& settings, Route route);
  virtual ~Server() = default;

  virtual int port() const = 0;
  /// As they were asked for, with that port.
  virtual const std::vector<std::string>& addresses() const = 0;
  /// Stops listening and closes every connection. The destructor does it too.
  virtual void stop() = 0;
};

}  // namespace capf::web
