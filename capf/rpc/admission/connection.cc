#include "capf/rpc/admission/connection.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <exception>
#include <mutex>
#include <set>
#include <utility>

#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "capf/base/contained.h"
#include "capf/base/descriptor.h"
#include "capf/base/log.h"
#include "capf/net/handshake.h"
#include "capf/rpc/status.h"

namespace capf::rpc {
namespace {

namespace asio = net::asio;
using End = net::TlsStream::End;
using net::Moment;

/// The time for a ClientHello, and again for the rest of a handshake.
constexpr std::chrono::seconds kHandshake{10};
constexpr std::chrono::seconds kWrite{30};  ///< the time for 16 KiB to leave
/// The time for the client to close after the last message.
constexpr std::chrono::seconds kGoodbye{2};
constexpr std::size_t kPortion = 16384;
constexpr unsigned kUnacknowledged = 20'000;  ///< milliseconds until a peer that acknowledges nothing is gone

Moment now() { return std::chrono::steady_clock::now(); }

/// The reason why a client's certificate ended the handshake; nothing for other failures, most of which are no TLS at
/// all.
std::optional<Reason> refusal_of(int fault_reason) {
  switch (fault_reason) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return Reason::kClientCertificateRequired;
    case SSL_R_CERTIFICATE_VERIFY_FAILED: return Reason::kAdministratorUnknown;
    default: return std::nullopt;
  }
}

/// Logs the exception that ends a coroutine.
struct LogFailure {
  LogLimit& limit;

  void operator()(const std::exception_ptr& failure) const { log_failure("connection.failed", failure, limit); }
};

}  // namespace

/// The connection as calls see it, on any thread.
class Connection::Remote final : public Peer {
 public:
  Remote(std::weak_ptr<Connection> connection, asio::any_io_executor executor, const Endpoint& endpoint,
         std::vector<Bytes> certificates)
      : Peer(endpoint, std::move(certificates)), connection_(std::move(connection)), executor_(std::move(executor)) {}

  void prove() override {
    if (proven_.exchange(true)) return;
    post([](Connection& connection) { connection.prove(); });
  }
  void charge(std::chrono::nanoseconds work) override {
    post([work](Connection& connection) { connection.stream_.charge(work); });
  }
  void hold() override {
    post([](Connection& connection) { connection.hold(); });
  }
  void release() override {
    post([stays = proven_.load()](Connection& connection) { connection.release(stays); });
  }
  void call_started(Gate::CallId call) override {
    const std::lock_guard lock(mutex_);
    running_.insert(call);
    if (!proven_) handled_.insert(call);
    if (watched_) post([call](Connection& connection) { connection.gate_->call_started(call); });
  }
  void call_ended(Gate::CallId call) override {
    const std::lock_guard lock(mutex_);
    running_.erase(call);
    if (!watched_) return;
    post([call](Connection& connection) {
      connection.gate_->call_ended(call);
      connection.go_on();
    });
  }

  /// Whether a handler has seen the call of a stranger, and charged for it. To be asked once for each.
  bool take_handled(Gate::CallId call) {
    const std::lock_guard lock(mutex_);
    return proven_ || handled_.erase(call) > 0;
  }

  /// Whether the connection is told of calls from now on: to wake its thread for each costs more than anything else.
  /// @return those that run, where that has changed to yes.
  std::set<Gate::CallId> watch(bool on) {
    const std::lock_guard lock(mutex_);
    if (std::exchange(watched_, on) || !on) return {};
    return running_;
  }

 private:
  template <class Message>
  void post(Message message) {
    asio::post(executor_, [weak = connection_, message] {
      if (const auto connection = weak.lock()) message(*connection);
    });
  }

  const std::weak_ptr<Connection> connection_;
  const asio::any_io_executor executor_;
  std::atomic<bool> proven_{false};
  std::mutex mutex_;
  std::set<Gate::CallId> running_;
  std::set<Gate::CallId> handled_;  ///< of a stranger; nobody has asked for them yet
  bool watched_ = false;
};

Connection::Connection(net::tcp::socket socket, net::Connections::Place place, const Endpoint& endpoint,
                       Doorway& doorway, net::Places& handshakes)
    : endpoint_(endpoint),
      doorway_(doorway),
      handshakes_(handshakes),
      stream_(std::move(socket), doorway.tls.get()->get()),
      server_(stream_.socket().get_executor()),
      place_(std::move(place)) {
  ::setsockopt(stream_.socket().native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnacknowledged,
               sizeof kUnacknowledged);
}

Connection::~Connection() {
  if (!name_.empty()) doorway_.peers.leave(name_);
}

void Connection::start() {
  place_.on_cut([weak = weak_from_this(), executor = stream_.socket().get_executor()] {
    asio::post(executor, [weak] {
      if (const auto self = weak.lock()) self->stream_.cancel();
    });
  });
  asio::co_spawn(stream_.socket().get_executor(), run(shared_from_this()), LogFailure{doorway_.failures});
}

void Connection::shut_down() {
  if (!gate_) return stream_.cancel();
  gate_->shut_down(now());
  go_on();
}

void Connection::tick() {
  if (!gate_) return;
  if (goodbye_ && now() - *goodbye_ >= kGoodbye) return stream_.cancel();
  gate_->tick(now());
  go_on();
}

/// Ends the connection whichever way its coroutine ends.
class Connection::Ending {
 public:
  explicit Ending(Connection& connection) : connection_(connection) {}
  ~Ending() { connection_.end(); }
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;

 private:
  Connection& connection_;
};

asio::awaitable<void> Connection::run(std::shared_ptr<Connection> self) {
  const Ending ending(*self);
  if (!co_await self->shake_hands()) co_return;
  self->peer_ = std::make_shared<Remote>(self->weak_from_this(), self->stream_.socket().get_executor(), self->endpoint_,
                                         net::client_certificates(self->stream_.ssl()));
  self->gate_ = Gate::make(self->doorway_.limits, now());
  // Posted, so that it runs after the first read: where the client has already sent something, one record then carries
  // the answer too.
  asio::post(self->stream_.socket().get_executor(), [self] { self->go_on(); });
  for (;;) {
    WipedBytes arrived;
    if (co_await self->stream_.read(arrived, Moment::max()) != End::kDone) break;
    const auto before = net::thread_work();
    self->gate_->take_from_client(arrived, now());
    self->go_on();
    self->stream_.charge(net::thread_work() - before);
  }
}

/// gRPC cancels the calls of a client that has gone. One that is being judged still gets no end at gRPC any more, which
/// nobody would close.
void Connection::end() {
  ended_ = true;
  net::error_code ignored;
  server_.close(ignored);
  stream_.cancel();
  stream_.socket().close(ignored);
}

asio::awaitable<bool> Connection::shake_hands() {
  const End end =
      co_await net::shake_hands(stream_, handshakes_, endpoint_.address.block(), kHandshake, doorway_.handshakes);
  if (end == End::kDone && stream_.protocol() == "h2") co_return true;
  log_debug("handshake.failed", {{"peer", endpoint_.to_string()},
                                 {"cause", end == End::kTimeout ? "too late"
                                           : end == End::kDone  ? "not HTTP/2"
                                                                : stream_.fault()}});
  if (const auto reason = refusal_of(stream_.fault_reason())) {
    // The phones' port takes any certificate and none: a handshake fails there only for one that costs too much.
    doorway_.note_breach(endpoint_, Error::of(doorway_.judge ? *reason : Reason::kCertificateMalformed));
  }
  co_return false;
}

void Connection::go_on() {
  if (gate_->breach() && !std::exchange(noted_, true)) doorway_.note_breach(endpoint_, *gate_->breach());
  for (const Gate::CallId call : peer_->watch(gate_->lingers())) gate_->call_started(call);
  for (const Gate::CallId call : gate_->take_answered()) {
    if (!peer_->take_handled(call)) stream_.charge(kForNothing);  // gRPC has refused it: no such method, no message
  }
  if (gate_->asks() && !std::exchange(judging_, true)) {
    if (!doorway_.judge) return admit({});
    asio::co_spawn(server_.get_executor(), judge(shared_from_this()), LogFailure{doorway_.failures});
  }
  if (to_client_.empty()) {
    to_client_ = gate_->for_client(kPortion);
    if (!to_client_.empty()) {
      asio::co_spawn(server_.get_executor(), write_to_client(shared_from_this()), LogFailure{doorway_.failures});
    } else if (gate_->over()) {
      say_goodbye();
    }
  }
  if (server_.is_open() && to_server_.empty()) {
    to_server_ = gate_->for_server(kPortion);
    if (!to_server_.empty()) {
      asio::co_spawn(server_.get_executor(), write_to_server(shared_from_this()), LogFailure{doorway_.failures});
    }
  }
}

asio::awaitable<void> Connection::judge(std::shared_ptr<Connection> self) {
  Status verdict = fail(Reason::kOverloaded);
  Peer* const peer = self->peer_.get();
  const auto work = [peer, &verdict, &doorway = self->doorway_] { verdict = doorway.judge(*peer); };
  try {
    co_await net::run_on(self->doorway_.judges, work);
  } catch (...) {  // the verdict is still that there is no room
    LogFailure{self->doorway_.failures}(std::current_exception());
  }
  if (verdict) self->prove();
  self->admit(verdict);
}

void Connection::admit(const Status& verdict) {
  if (ended_) return;
  if (verdict && hand_over()) {
    gate_->admit();
    take_from_server();  // gRPC has sent its first frames: the client's answer to them leaves with the request
  } else {
    gate_->refuse(trailers_of(to_grpc(verdict ? Error::of(Reason::kOverloaded) : verdict.error())));
  }
  go_on();
}

/// @return whether gRPC got its end of the connection; false for example without free descriptors.
bool Connection::hand_over() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) != 0) return false;
  Descriptor ours(ends[0]);
  Descriptor theirs(ends[1]);
  const std::string name = Peers::new_name();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path + 1, sizeof address.sun_path - 1);  // behind the zero that makes it abstract
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (::bind(ours.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return false;
  net::error_code error;
  server_.assign(Local(), ours.get(), error);
  if (error) return false;
  ours.release();
  name_ = name;
  doorway_.peers.enter(name_, peer_);  // before gRPC knows the connection
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
  connection.fd = theirs.release();
  doorway_.server->HandleNewConnection(&connection);
  asio::co_spawn(server_.get_executor(), read_from_server(shared_from_this()), LogFailure{doorway_.failures});
  return true;
}

asio::awaitable<void> Connection::write_to_client(std::shared_ptr<Connection> self) {
  while (!self->to_client_.empty()) {
    const End end = co_await self->stream_.write(self->to_client_, now() + kWrite);
    if (end != End::kDone) {
      self->stream_.cancel();
      co_return;
    }
    self->to_client_ = self->gate_->for_client(kPortion);
    self->go_on();  // octets that have left open windows
  }
}

asio::awaitable<void> Connection::write_to_server(std::shared_ptr<Connection> self) {
  for (std::size_t sent = 0; !self->to_server_.empty();) {
    const auto count = ::send(self->server_.native_handle(), self->to_server_.data() + sent,
                              self->to_server_.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno != EINTR) {
      if (errno != EAGAIN && errno != EWOULDBLOCK) co_return;  // the coroutine that reads from gRPC sees it too
      net::error_code error;
      co_await self->server_.async_wait(Local::socket::wait_write, asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return;
    }
    if (count > 0) sent += static_cast<std::size_t>(count);
    if (sent < self->to_server_.size()) continue;
    sent = 0;
    self->to_server_ = self->gate_->for_server(kPortion);
    self->go_on();
  }
}

asio::awaitable<void> Connection::read_from_server(std::shared_ptr<Connection> self) {
  for (bool open = true; open;) {
    net::error_code error;
    co_await self->server_.async_wait(Local::socket::wait_read, asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;
    open = self->take_from_server();
    if (!open) self->gate_->server_closed(now());
    self->go_on();
  }
}

/// @return whether gRPC may send more. The buffer is on the stack of this call, not in the coroutine.
bool Connection::take_from_server() {
  std::array<std::uint8_t, kPortion> octets;
  const auto count = ::recv(server_.native_handle(), octets.data(), octets.size(), MSG_DONTWAIT);
  if (count > 0) gate_->take_from_server({octets.data(), static_cast<std::size_t>(count)}, now());
  return count > 0 || (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}

/// Ends the sending. For a moment, octets of the client are still read and discarded, because closing a socket with
/// octets unread would destroy the last message on its way.
void Connection::say_goodbye() {
  if (goodbye_) return;
  goodbye_ = now();
  ERR_clear_error();
  SSL_shutdown(stream_.ssl());
  net::error_code ignored;
  stream_.socket().shutdown(net::tcp::socket::shutdown_send, ignored);
}

void Connection::hold() {
  stream_.trust();
  place_.prove();
  gate_->hold();
}

void Connection::release(bool stays) {
  gate_->release(stays, now());
  go_on();
}

void Connection::prove() {
  stream_.trust();
  place_.prove();
  gate_->allow(doorway_.known_streams);
  go_on();
}

}  // namespace capf::rpc
