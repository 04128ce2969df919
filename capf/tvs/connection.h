#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>

#include "capf/base/log.h"
#include "capf/net/connections.h"
#include "capf/net/crew.h"
#include "capf/net/handshake.h"
#include "capf/net/present.h"
#include "capf/net/stream.h"
#include "capf/tvs/dialogue.h"
#include "capf/tvs/listener.h"

// The parts of the listener: one connection, and the state that all of them share.

namespace capf::tvs {

class Connection;

/// The state that all connections share; outlives them. Threads: any.
class Hall {
 public:
  Hall(const ListenerSettings& settings, std::shared_ptr<const net::TlsContext> tls, CertificateSource& source,
       const Clock& clock, Metrics* metrics);

  ListenerCounts counts() const;
  std::array<std::optional<net::Pool>*, 1> pools() { return {&pool}; }
  int questions_at_once() const { return settings.workers; }
  void count(std::string_view question, std::string_view outcome) const;

  const ListenerSettings settings;
  CertificateSource& source;
  const Clock& clock;
  Metrics* const metrics;  ///< may be absent
  net::Connections connections;
  std::optional<net::Pool> pool;  ///< none once the listener has stopped
  net::CurrentTls tls;
  LogLimit failures{1};   ///< of connections that end by an exception; a second
  LogLimit refusals{10};  ///< of questions that were not answered with *valid*; a second
  std::atomic<bool> draining{false};
  std::atomic<std::int64_t> handshakes{0};
  std::atomic<std::int64_t> handshake_failures{0};
  std::atomic<std::int64_t> questions{0};
  std::atomic<std::int64_t> legacy_questions{0};
  net::Present<Connection> present;  ///< dismiss() ends those without a question, the others too where `all` is set
};

/// One connection from its first octet to its end. It keeps itself alive while it runs.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(net::tcp::socket socket, net::Connections::Place place, const Address& peer, Hall& hall,
             net::Worker& worker);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  /// Asks it to end: at once where `now` is set, or where the phone has not asked yet. Threads: any.
  void dismiss(bool now);

 private:
  static net::asio::awaitable<void> run(std::shared_ptr<Connection> self);
  net::asio::awaitable<bool> shake_hands();
  net::asio::awaitable<void> converse();
  /// @return nothing where the connection is to be closed without an answer.
  net::asio::awaitable<std::optional<Question>> listen();
  net::asio::awaitable<Result<Answer>> look_up(const Question& question);
  /// Logs and counts what came of the question.
  void report(const Question& question, const Result<Answer>& answer) const;

  net::Connections::Place place_;  ///< first member, so destroyed last: when the place is left, the connection is gone
  const Address peer_;
  Hall& hall_;
  net::Worker& worker_;
  net::TlsStream stream_;
  Bytes arrived_;
  bool asking_ = false;
};

}  // namespace capf::tvs
