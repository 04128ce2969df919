#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "capf/net/coroutine.h"
// Asio must come first: see capf/net/asio.h.
#include <boost/asio/local/stream_protocol.hpp>
#include <grpcpp/server_builder.h>

#include "capf/base/error.h"
#include "capf/base/log.h"
#include "capf/net/connections.h"
#include "capf/net/places.h"
#include "capf/net/stream.h"
#include "capf/rpc/admission/gate.h"
#include "capf/rpc/admission/peer.h"

namespace capf::rpc {

/// The state that the connections of one server share; outlives them. Threads: any.
struct Doorway {
  net::CurrentTls tls{};
  GateLimits limits{};              ///< of a stranger
  std::uint32_t known_streams = 1;  ///< of an authenticated administrator
  Peers& peers;
  net::Pool& judges;
  /// Whether a peer may come in: called on one of `judges` before the peer's first request goes to gRPC. It may block.
  /// Its error is answered to the peer. Empty: every peer may come in, as a stranger.
  std::function<Status(Peer&)> judge{};
  /// Counts and records a stranger's breach of the protocol, or the refusal of its certificate. Does not block.
  std::function<void(const Endpoint&, const Error&)> note_breach{};
  LogLimit failures{1};                     ///< of connections that end by an exception; a second
  std::atomic<std::int64_t> handshakes{0};  ///< that are worked on now
  /// gRPC's own acceptor, once the server has started.
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> server{};
};

/// One connection to a gRPC server from its first octet to its end: TLS, the gate, and behind it, from the first
/// request on, a pair of sockets of which gRPC has one. It keeps itself alive while it runs. Threads: its socket's,
/// unless noted otherwise.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// @param place is given back when the connection has ended. @param handshakes of its thread, outlives it
  Connection(net::tcp::socket socket, net::Connections::Place place, const Endpoint& endpoint, Doorway& doorway,
             net::Places& handshakes);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  /// Applies the limits of time. To be called about once a second.
  void tick();
  /// Takes no further request, and ends when the running ones have ended.
  void shut_down();

 private:
  using Local = net::asio::local::stream_protocol;
  class Remote;
  class Ending;

  static net::asio::awaitable<void> run(std::shared_ptr<Connection> self);
  static net::asio::awaitable<void> judge(std::shared_ptr<Connection> self);
  static net::asio::awaitable<void> write_to_client(std::shared_ptr<Connection> self);
  static net::asio::awaitable<void> write_to_server(std::shared_ptr<Connection> self);
  static net::asio::awaitable<void> read_from_server(std::shared_ptr<Connection> self);
  net::asio::awaitable<bool> shake_hands();
  /// Sends the gate's octets, and does what it asks for.
  void go_on();
  void admit(const Status& verdict);
  bool hand_over();
  bool take_from_server();
  void say_goodbye();
  void end();
  void prove();
  void hold();
  /// @param stays whether its client has authenticated by a certificate
  void release(bool stays);

  const Endpoint endpoint_;
  Doorway& doorway_;
  net::Places& handshakes_;
  net::TlsStream stream_;
  Local::socket server_;
  std::unique_ptr<Gate> gate_;
  std::shared_ptr<Remote> peer_;
  std::string name_;  ///< of the pair of sockets; empty until there is one
  net::Connections::Place place_;
  std::optional<net::Moment> goodbye_;
  bool judging_ = false;
  bool ended_ = false;
  Bytes to_client_;  ///< on its way; empty: nothing is
  Bytes to_server_;
  bool noted_ = false;
};

}  // namespace capf::rpc
