#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "capf/base/log.h"
#include "capf/base/wiped.h"
#include "capf/net/connections.h"
#include "capf/net/crew.h"
#include "capf/net/handshake.h"
#include "capf/net/present.h"
#include "capf/net/stream.h"
#include "capf/wire/listener.h"

// The parts of the listener: one connection, and the state that all of them share.

namespace capf::wire {

class Connection;

/// The state that all connections share; outlives them. Threads: any.
class Hall {
 public:
  Hall(const ListenerSettings& settings, std::shared_ptr<const net::TlsContext> tls, OpenDesk open_desk,
       Metrics* metrics);

  ListenerCounts counts() const;
  std::array<std::optional<net::Pool>*, 3> pools() { return {&stranger_pool, &pool, &record_pool}; }
  int questions_at_once() const { return settings.stranger_workers; }

  const ListenerSettings settings;
  const OpenDesk open_desk;
  Metrics* const metrics;  ///< may be absent
  net::Connections connections;
  // None once the listener has stopped:
  std::optional<net::Pool> stranger_pool;
  std::optional<net::Pool> pool;
  std::optional<net::Pool> record_pool;
  net::CurrentTls tls;
  LogLimit failures{1};  ///< of connections that end by an exception; a second
  std::atomic<bool> draining{false};
  std::atomic<std::int64_t> handshakes{0};
  std::atomic<std::int64_t> handshake_failures{0};
  std::atomic<std::int64_t> sessions{0};
  std::atomic<std::int64_t> legacy_sessions{0};
  net::Present<Connection> present;  ///< dismiss() ends strangers at once, the others too where `all` is set
};

/// One connection from its first octet to its end. It keeps itself alive while it runs.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(net::tcp::socket socket, net::Connections::Place place, const Address& peer, Hall& hall,
             net::Worker& worker);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  /// Asks it to end: at once where `now` is set, or where the phone is a stranger without a question at the service.
  /// Threads: any.
  void dismiss(bool now);

 private:
  static net::asio::awaitable<void> run(std::shared_ptr<Connection> self);
  net::asio::awaitable<bool> shake_hands();
  net::asio::awaitable<void> converse();
  Step receive(Session& session);
  net::asio::awaitable<Answer> ask(Desk& desk, const Question& question);
  /// @return what the phone did, for the session.
  net::asio::awaitable<Step> listen(Session& session, std::size_t used, net::Moment until);
  void begin_trace(const DeviceName& device, std::uint32_t session_id);
  /// Logs one line of the dialogue, where it is traced; no more than kMostTracedLines.
  void trace(std::string_view what, std::string_view words);
  /// The message, and the certificates in it.
  void trace_message(std::string_view direction, BytesView octets);
  void trace_certificate(std::string_view what, BytesView der);
  void trace_answer(const Question& question, const Answer& answer);

  net::Connections::Place place_;  ///< first member, so destroyed last: when the place is left, the connection is gone
  const Address peer_;
  Hall& hall_;
  net::Worker& worker_;
  net::TlsStream stream_;
  WipedBytes arrived_;  ///< from the phone, and not used up yet
  std::string traced_;  ///< the device, where its dialogue is logged
  std::string traced_session_;
  int traced_lines_ = 0;
  bool authenticated_ = false;
  bool asking_ = false;
};

}  // namespace capf::wire
