#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "capf/net/asio.h"
#include "capf/net/connections.h"

namespace capf::net {

/// Listens for a port, and hands on the connections for which there is a place. One that a trusted proxy makes has its
/// header first; until then its place is the proxy's, and from then on it is the address's for which the proxy stands.
class Acceptor {
 public:
  struct Settings {
    /// "127.0.0.1:3804", "[::1]:3804". Port 0 takes a free one, the same for every address.
    std::vector<std::string> addresses;
    int backlog = asio::socket_base::max_listen_connections;  ///< that the system holds before they are taken
    std::vector<Network> proxies{};                           ///< connections from there begin with a PROXY header
    std::chrono::milliseconds header{10'000};                 ///< for that header to come
  };
  /// Where the next connection is to live; its socket's executor. Called on the context.
  using Next = std::function<asio::any_io_executor()>;
  /// Takes a connection over, on the socket's executor; `peer` is whom a proxy stands for, where it says so. What it
  /// throws is logged, and the connection closed. The place must be left before the socket is closed only where
  /// Place::on_cut() uses its descriptor. It may be called after close() has returned, for a connection that was there
  /// before; not after the executor's context has stopped.
  using Take = std::function<void(tcp::socket socket, Connections::Place place, const Endpoint& peer)>;

  /// Listens, and takes nothing yet. @param context runs the accepting, on one thread or several.
  /// @param connections outlive the context's handlers. Errors: INVALID_CONFIGURATION.
  static Result<std::unique_ptr<Acceptor>> listen(asio::io_context& context, const Settings& settings,
                                                  Connections& connections);
  virtual ~Acceptor() = default;

  /// Takes connections from now on; the executors are of one thread, or strands, where there are proxies. Cuts off the
  /// strangers who stay for too long. @param refused is called on the context for each connection that has no place;
  /// may be absent.
  virtual void open(Next next, Take take, std::function<void()> refused = {}) = 0;
  /// Listens no more, and returns when nothing more will be taken. Not on the context, whose threads must run.
  virtual void close() = 0;

  virtual int port() const = 0;
  /// As they were asked for, with that port.
  virtual const std::vector<std::string>& addresses() const = 0;
};

}  // namespace capf::net
