#include "capf/net/acceptor.h"

#include <cerrno>
#include <future>
#include <utility>

#include <sys/socket.h>

#include "capf/base/descriptor.h"
#include "capf/base/log.h"
#include "capf/net/coroutine.h"

namespace capf::net {
namespace {

using SteadyClock = asio::steady_timer::clock_type;

constexpr int kTriesToListen = 5;
constexpr std::chrono::milliseconds kAfterFailedAccept{100};
constexpr std::chrono::seconds kBetweenLooks{1};
/// Connections that are taken before the context's other work has its turn: one at a time would leave the rest waiting
/// behind all of that work, the longer the more there are.
constexpr int kAtOnce = 64;

class RunningAcceptor final : public Acceptor {
 public:
  RunningAcceptor(asio::io_context& context, Connections& connections)
      : strand_(asio::make_strand(context)), context_(context), connections_(connections), look_(strand_) {}

  Status listen(const Settings& settings) {
    for (int i = 1;; ++i) {
      CAPF_LET(const std::vector<Endpoint> endpoints, plan_endpoints(settings.addresses));
      const Status bound = bind(endpoints, settings.backlog);
      if (bound) return {};
      acceptors_.clear();
      if (i == kTriesToListen) return bound;  // each time another one has taken the port meanwhile
    }
  }

  void open(Next next, Take take, std::function<void()> refused) override {
    next_ = std::move(next);
    take_ = std::move(take);
    refused_ = std::move(refused);
    for (tcp::acceptor& acceptor : acceptors_) asio::co_spawn(strand_, accept(acceptor), asio::detached);
    asio::co_spawn(strand_, look_around(), asio::detached);
  }

  void close() override {
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

  asio::awaitable<void> accept(tcp::acceptor& acceptor) {
    asio::steady_timer pause(strand_);
    while (acceptor.is_open()) {
      error_code error;
      co_await acceptor.async_wait(tcp::acceptor::wait_read, asio::redirect_error(asio::use_awaitable, error));
      if (error == asio::error::operation_aborted) co_return;
      for (int i = 0; !error && i < kAtOnce; ++i) error = take_one(acceptor);
      if (!error || error == asio::error::would_block) continue;
      pause.expires_after(kAfterFailedAccept);  // no descriptors left, say: not at once again
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
    }
  }

  /// Takes the system's descriptor alone: a socket of Asio's is made on the connection's own thread, which wakes once.
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
    } catch (const std::exception& failure) {  // no memory left, say
      log_error("connection.failed", {{"cause", failure.what()}});
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
        take_(std::move(socket), std::move(place), peer);
      } catch (const std::exception& failure) {
        log_error("connection.failed", {{"cause", failure.what()}});
      }
    });
  }

  asio::awaitable<void> look_around() {
    for (;;) {
      error_code cancelled;
      look_.expires_after(kBetweenLooks);
      co_await look_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
      if (cancelled) co_return;
      connections_.cut_overdue(SteadyClock::now());
    }
  }

  asio::any_io_executor strand_;
  asio::io_context& context_;
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
  auto acceptor = std::make_unique<RunningAcceptor>(context, connections);
  CAPF_TRY(acceptor->listen(settings));
  return acceptor;
}

}  // namespace capf::net
