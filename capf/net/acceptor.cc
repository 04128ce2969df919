#include "capf/net/acceptor.h"

#include <future>
#include <utility>

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
      tcp::socket socket = co_await acceptor.async_accept(next_(), asio::redirect_error(asio::use_awaitable, error));
      if (error == asio::error::operation_aborted) co_return;
      if (error) {  // no descriptors left, say: not at once again
        pause.expires_after(kAfterFailedAccept);
        co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
        continue;
      }
      for (int taken = 1; !error && acceptor.is_open(); ++taken) {
        try {
          admit(std::move(socket));
        } catch (const std::exception& failure) {  // no memory left, say
          log_error("connection.failed", {{"cause", failure.what()}});
        }
        if (taken == kAtOnce) break;
        socket = acceptor.accept(next_(), error);
      }
    }
  }

  void admit(tcp::socket socket) {
    error_code error;
    const tcp::endpoint there = socket.remote_endpoint(error);
    if (error) return;  // it is gone
    const Endpoint peer{peer_of(socket), there.port()};
    auto place = connections_.enter(peer.address, SteadyClock::now());
    if (place) return take_(std::move(socket), *std::move(place), peer);
    if (refused_) refused_();
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
