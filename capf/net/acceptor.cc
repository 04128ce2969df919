#include "capf/net/acceptor.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <utility>

#include <sys/socket.h>

#include "capf/base/contained.h"
#include "capf/base/descriptor.h"
#include "capf/base/log.h"
#include "capf/net/coroutine.h"
#include "capf/net/proxy.h"

namespace capf::net {
namespace {

using SteadyClock = asio::steady_timer::clock_type;

constexpr int kTriesToListen = 5;
constexpr std::chrono::milliseconds kAfterFailedAccept{100};
constexpr std::chrono::seconds kBetweenLooks{1};
/// How many connections to accept before the context's other work has its turn. With one at a time, each of the rest
/// would wait behind all of that work.
constexpr int kAtOnce = 64;

constexpr std::chrono::milliseconds kBetweenTicks{200};
/// How many faults of proxies are logged in a second, and how many failures of ours. (A closed port is noticed within
/// one tick.)
constexpr int kComplaintsInASecond = 1;

/// A connection of a trusted proxy until it has named its client. On the socket's executor.
class Introduction final : public std::enable_shared_from_this<Introduction> {
 public:
  /// Called at the end with the socket, the proxy's place and the header.
  using Done = std::function<void(tcp::socket socket, Connections::Place place, const ProxyHeader& header)>;
  /// Whether it is to end: the port is closed.
  using IsOver = std::function<bool()>;
  /// Called with its fault.
  using Complain = std::function<void(const Error& error)>;

  Introduction(tcp::socket socket, Connections::Place place, std::chrono::milliseconds patience)
      : socket_(std::move(socket)),
        place_(std::move(place)),
        timer_(socket_.get_executor()),
        end_(SteadyClock::now() + patience) {}

  void start(Done done, IsOver is_over, Complain complain) {
    done_ = std::move(done);
    is_over_ = std::move(is_over);
    complain_ = std::move(complain);
    place_->on_cut([socket = socket_.native_handle()] { ::shutdown(socket, SHUT_RDWR); });
    tick();
    wait();
  }

 private:
  void tick() {
    timer_.expires_after(kBetweenTicks);
    timer_.async_wait([self = shared_from_this()](const error_code& cancelled) {
      if (cancelled || !self->place_) return;
      if (self->is_over_()) return self->end();
      if (SteadyClock::now() < self->end_) return self->tick();
      self->complain_(Error{Reason::kMessageMalformed, "the PROXY header does not come", {}, {}});
      self->end();
    });
  }

  void wait() {
    socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](const error_code& error) {
      if (!self->place_) return;
      if (error) return self->end();
      self->read();
    });
  }

  /// Reads no octet beyond the header, because the next ones are the client's.
  void read() {
    for (;;) {
      const auto header = read_proxy_header({buffer_.data(), size_});
      if (!header) {
        complain_(header.error());
        return end();
      }
      if (header->needs == 0) return finish(*header);
      const ssize_t count =
          ::recv(socket_.native_handle(), buffer_.data() + size_, header->needs - size_, MSG_DONTWAIT);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return wait();
      if (count <= 0) return end();  // closed without a header: a proxy's check that the port is open
      size_ += static_cast<std::size_t>(count);
    }
  }

  void finish(const ProxyHeader& header) {
    timer_.cancel();
    place_->on_cut([] {});
    Connections::Place place = *std::move(place_);
    place_.reset();
    if (!is_over_()) done_(std::move(socket_), std::move(place), header);
  }

  void end() {
    timer_.cancel();
    place_.reset();
    error_code ignored;
    socket_.close(ignored);
  }

  tcp::socket socket_;
  std::optional<Connections::Place> place_;  ///< left before the socket is closed; absent once it is over
  asio::steady_timer timer_;
  const SteadyClock::time_point end_;
  std::array<std::uint8_t, kLargestProxyHeader> buffer_;
  std::size_t size_ = 0;
  Done done_;
  IsOver is_over_;
  Complain complain_;
};

class RunningAcceptor final : public Acceptor {
 public:
  RunningAcceptor(asio::io_context& context, const Settings& settings, Connections& connections)
      : strand_(asio::make_strand(context)),
        context_(context),
        proxies_(settings.proxies),
        header_(settings.header),
        connections_(connections),
        look_(strand_) {}

  Status listen(const Settings& settings) {
    for (int i = 1;; ++i) {
      CAPF_LET(const std::vector<Endpoint> endpoints, plan_endpoints(settings.addresses));
      const Status bound = bind(endpoints, settings.backlog);
      if (bound) return {};
      acceptors_.clear();
      if (i == kTriesToListen) return bound;  // in each try another process took the port meanwhile
    }
  }

  void open(Next next, Take take, std::function<void()> refused) override {
    next_ = std::move(next);
    take_ = std::move(take);
    refused_ = std::move(refused);
    for (tcp::acceptor& acceptor : acceptors_) keep_accepting(acceptor);
    asio::co_spawn(strand_, look_around(), asio::detached);
  }

  void close() override {
    closed_ = true;
    std::promise<void> closed;
    asio::post(strand_, [&] {
      error_code ignored;
      for (tcp::acceptor& acceptor : acceptors_) acceptor.close(ignored);
      look_.cancel();
      closed.set_value();
    });
    closed.get_future().wait();
  }

  int port() const override { return port_; }
  const std::vector<std::string>& addresses() const override { return addresses_; }

 private:
  Status bind(const std::vector<Endpoint>& endpoints, int backlog) {
    for (const Endpoint& endpoint : endpoints) {
      CAPF_LET(tcp::acceptor acceptor, listen_on(context_, endpoint, backlog));
      error_code error;
      acceptor.non_blocking(true, error);
      acceptors_.push_back(std::move(acceptor));
    }
    port_ = endpoints.front().port;
    for (const Endpoint& endpoint : endpoints) addresses_.push_back(endpoint.to_string());
    return {};
  }

  void keep_accepting(tcp::acceptor& acceptor) {
    asio::co_spawn(strand_, accept(acceptor), [this, &acceptor](const std::exception_ptr& failure) {
      if (!failure) return;
      log_failure("connection.failed", failure, failures_);
      keep_accepting(acceptor);
    });
  }

  asio::awaitable<void> accept(tcp::acceptor& acceptor) {
    asio::steady_timer pause(strand_);
    while (acceptor.is_open()) {
      error_code error;
      co_await acceptor.async_wait(tcp::acceptor::wait_read, asio::redirect_error(asio::use_awaitable, error));
      if (error == asio::error::operation_aborted) co_return;
      for (int i = 0; !error && i < kAtOnce; ++i) error = take_one(acceptor);
      if (!error || error == asio::error::would_block) continue;
      pause.expires_after(kAfterFailedAccept);  // for example no descriptors left: do not try again at once
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
    }
  }

  /// Accepts only the system's descriptor. The Asio socket is made on the connection's own thread, which so wakes once.
  error_code take_one(tcp::acceptor& acceptor) {
    tcp::endpoint there;
    auto size = static_cast<socklen_t>(there.capacity());
    Descriptor socket(::accept4(acceptor.native_handle(), there.data(), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.get() < 0) {
      const bool is_gone = errno == ECONNABORTED || errno == EINTR;
      return is_gone ? error_code() : error_code(errno, asio::error::get_system_category());
    }
    there.resize(size);
    try {
      admit(std::move(socket), there);
    } catch (...) {  // for example no memory left
      log_failure("connection.failed", std::current_exception(), failures_);
    }
    return {};
  }

  void admit(Descriptor descriptor, const tcp::endpoint& there) {
    const Endpoint peer = from_asio(there);
    auto place = connections_.enter(peer.address, SteadyClock::now());
    if (!place) {
      if (refused_) refused_();
      return;
    }
    const asio::any_io_executor executor = next_();
    asio::post(executor, [this, executor, peer, protocol = there.protocol(), place = *std::move(place),
                          descriptor = std::move(descriptor)]() mutable {
      try {
        tcp::socket socket(executor, protocol, descriptor.get());
        descriptor.release();
        if (!is_proxy(peer.address)) return take_(std::move(socket), std::move(place), peer);
        std::make_shared<Introduction>(std::move(socket), std::move(place), header_)
            ->start(
                [this, peer](tcp::socket introduced, Connections::Place of_proxy, const ProxyHeader& header) {
                  introduce(std::move(introduced), std::move(of_proxy), peer, header);
                },
                [this] { return closed_.load(); }, [this, peer](const Error& error) { complain(peer, error); });
      } catch (...) {
        log_failure("connection.failed", std::current_exception(), failures_);
      }
    });
  }

  bool is_proxy(const Address& address) const {
    return std::any_of(proxies_.begin(), proxies_.end(),
                       [&](const Network& network) { return network.contains(address); });
  }

  /// The client of the proxy gets a place of its own; the proxy's place is left once that is taken.
  void introduce(tcp::socket socket, Connections::Place of_proxy, const Endpoint& proxy, const ProxyHeader& header) {
    // From a proxy on another machine, a loopback source is that machine's own, not ours.
    const bool elsewhere = header.source && header.source->is_loopback() && !proxy.is_loopback();
    if (!header.source || elsewhere) return take_(std::move(socket), std::move(of_proxy), proxy);
    auto place = connections_.enter(header.source->address, SteadyClock::now());
    if (place) return take_(std::move(socket), *std::move(place), *header.source);
    if (refused_) refused_();
  }

  void complain(const Endpoint& proxy, const Error& error) {
    if (const auto left_out = complaints_.admit(SteadyClock::now())) {
      log_warning("proxy.refused", {{"peer", proxy.to_string()}, {"cause", error.message}, {"left_out", *left_out}});
    }
  }

  asio::awaitable<void> look_around() {
    for (;;) {
      error_code cancelled;
      look_.expires_after(kBetweenLooks);
      co_await look_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
      if (cancelled) co_return;
      run_contained("handler.failed", [this] { connections_.cut_overdue(SteadyClock::now()); });
    }
  }

  asio::any_io_executor strand_;
  asio::io_context& context_;
  const std::vector<Network> proxies_;
  const std::chrono::milliseconds header_;
  std::atomic<bool> closed_ = false;
  LogLimit complaints_{kComplaintsInASecond};
  LogLimit failures_{kComplaintsInASecond};
  Connections& connections_;
  asio::steady_timer look_;
  std::vector<tcp::acceptor> acceptors_;
  std::vector<std::string> addresses_;
  int port_ = 0;
  Next next_;
  Take take_;
  std::function<void()> refused_;
};

}  // namespace

Result<std::unique_ptr<Acceptor>> Acceptor::listen(asio::io_context& context, const Settings& settings,
                                                   Connections& connections) {
  auto acceptor = std::make_unique<RunningAcceptor>(context, settings, connections);
  CAPF_TRY(acceptor->listen(settings));
  return acceptor;
}

}  // namespace capf::net
