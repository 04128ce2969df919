#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "capf/net/asio.h"
#include "capf/net/connections.h"

namespace capf::net {

/// Listens for a port, and hands on the connections for which there is a place. A connection from a trusted proxy
/// begins with a header; until it has come, the connection takes a place of the proxy, and from then on one of the
/// client's address.
class Acceptor {
 public:
  struct Settings {
    /// "127.0.0.1:3804", "[::1]:3804". Port 0 takes a free one, the same for every address.
    std::vector<std::string> addresses;
    int backlog = asio::socket_base::max_listen_connections;  ///< connections that wait in the system to be accepted
    std::vector<Network> proxies{};                           ///< connections from there begin with a PROXY header
    std::chrono::milliseconds header{10'000};                 ///< how long that header may take to come
  };
  /// Chooses the executor of the next connection's socket. Called on the context.
  using Next = std::function<asio::any_io_executor()>;
  /// Takes a connection over, on the socket's executor; `peer` is the client of a proxy, where the header names it. Its
  /// exceptions are logged, and the connection is closed. The place must be left before the socket is closed only where
  /// Place::on_cut() uses its descriptor. It may be called after close() has returned, for a connection accepted
  /// before; not after the executor's context has stopped.
  using Take = std::function<void(tcp::socket socket, Connections::Place place, const Endpoint& peer)>;

  /// Listens, but accepts no connection yet. @param context runs the accepting, on one thread or several.
  /// @param connections outlive the context's handlers. Errors: INVALID_CONFIGURATION.
  static Result<std::unique_ptr<Acceptor>> listen(asio::io_context& context, const Settings& settings,
                                                  Connections& connections);
  virtual ~Acceptor() = default;

  /// Accepts connections from now on; with proxies, each executor must be of one thread, or a strand. Cuts off the
  /// strangers that stay for too long. @param refused is called on the context for each connection that has no place;
  /// may be absent.
  virtual void open(Next next, Take take, std::function<void()> refused = {}) = 0;
  /// Stops listening, and returns when no more connections will be accepted. Not on the context, whose threads must
  /// run.
  virtual void close() = 0;

  virtual int port() const = 0;
  /// As in the settings, with the real port.
  virtual const std::vector<std::string>& addresses() const = 0;
};

}  // namespace capf::net
