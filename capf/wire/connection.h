#pragma once

#include <atomic>
#include <condition_variable>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "capf/net/stream.h"
#include "capf/net/threads.h"
#include "capf/wire/listener.h"

// What the listener is made of: one connection, and what all of them share.

namespace capf::wire {

/// Places for what only so many may do at once; who comes first gets the next. Threads: one.
class Places {
 public:
  explicit Places(int count) : free_(count) {}

  /// @return whether there is a place for the caller now; one that there was must be given back.
  net::asio::awaitable<bool> take(net::Moment until);
  void give();
  /// Nobody gets a place any more.
  void close();

 private:
  struct Waiter;
  int free_;
  bool closed_ = false;
  std::list<Waiter*> waiters_;
};

/// One thread and the connections that live on it.
struct Worker {
  explicit Worker(int handshakes) : places(handshakes), threads(1) {}

  Places places;  ///< outlives the connections, which go with the threads' context at the latest
  net::IoThreads threads;
};

class Connection;

/// What all connections share; outlives them. Threads: any.
class Hall {
 public:
  Hall(const ListenerSettings& settings, std::shared_ptr<const net::TlsContext> tls, OpenDesk open_desk,
       Metrics* metrics);

  /// Counts a connection of this address in. @return whether there is room for it.
  bool enter(const std::string& block);
  void leave(const std::string& block, bool stranger);
  void authenticated() { --strangers_; }

  void join(Connection& connection);
  void part(Connection& connection);
  /// Asks every connection to end: strangers at once, the others too where `all` is set.
  void dismiss(bool all);
  /// @return whether nobody is left.
  bool wait_until_empty(Duration patience);

  std::shared_ptr<const net::TlsContext> tls() const;
  void replace(std::shared_ptr<const net::TlsContext> tls);
  ListenerCounts counts() const;

  const ListenerSettings settings;
  const OpenDesk open_desk;
  Metrics* const metrics;  ///< may be absent
  net::asio::thread_pool stranger_pool;
  net::asio::thread_pool pool;
  std::atomic<bool> draining{false};
  std::atomic<std::int64_t> handshakes{0};
  std::atomic<std::int64_t> handshake_failures{0};
  std::atomic<std::int64_t> sessions{0};
  std::atomic<std::int64_t> legacy_sessions{0};

 private:
  mutable std::mutex mutex_;
  std::condition_variable emptied_;
  std::shared_ptr<const net::TlsContext> tls_;
  std::map<std::string, int> by_address_;
  std::set<Connection*> present_;
  std::int64_t connections_ = 0;
  std::atomic<std::int64_t> strangers_{0};
  std::int64_t accepted_ = 0;
  std::int64_t over_limit_ = 0;
};

/// One connection from its first octet to its end. It keeps itself alive while it runs.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// The hall has let it in: it leaves when it goes.
  Connection(net::tcp::socket socket, const Address& peer, Hall& hall, Worker& worker);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  /// To end: at once where `now` is set or the phone is a stranger that nobody is judging. Threads: any.
  void dismiss(bool now);

 private:
  static net::asio::awaitable<void> run(std::shared_ptr<Connection> self);
  net::asio::awaitable<bool> shake_hands();
  net::asio::awaitable<void> converse();
  net::asio::awaitable<Answer> ask(Desk& desk, const Question& question);
  /// @return what the phone did, for the session.
  net::asio::awaitable<Step> listen(Session& session, std::size_t used, net::Moment until);
  void begin_trace(const DeviceName& device, std::uint32_t session_id);
  /// One line of the dialogue, where it is traced. A phone can make it long: not every line is written then.
  void trace(std::string_view what, std::string_view words);
  void trace_message(std::string_view direction, BytesView octets);
  void trace_answer(const Question& question, const Answer& answer);

  const Address peer_;
  const std::string block_;
  Hall& hall_;
  Worker& worker_;
  net::TlsStream stream_;
  Bytes arrived_;
  std::string traced_;  ///< the device, where its dialogue goes to the log
  std::string traced_session_;
  int traced_lines_ = 0;
  bool authenticated_ = false;
  bool asking_ = false;
};

}  // namespace capf::wire
