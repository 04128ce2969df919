#include "capf/rpc/admission/acceptor.h"

#include <algorithm>
#include <thread>
#include <utility>

#include <malloc.h>

#include "capf/base/contained.h"
#include "capf/net/acceptor.h"
#include "capf/net/places.h"
#include "capf/net/threads.h"

namespace capf::rpc {
namespace {

namespace asio = net::asio;

constexpr std::chrono::seconds kBetweenTicks{1};
/// Handshakes that are worked on at once, of all threads; others wait for their addresses' turn.
constexpr unsigned kHandshakes = 64;
/// After so many ended connections there is enough free memory to be worth giving back to the system.
constexpr std::size_t kEndedForTrim = 64;

/// A thread, and the connections that live on it.
class Worker {
 public:
  explicit Worker(unsigned handshakes) : handshakes_(static_cast<int>(handshakes)) {}

  net::Places& handshakes() { return handshakes_; }
  asio::io_context& context() { return threads_.context(); }

  void start() { asio::co_spawn(context(), tick(), asio::detached); }
  void stop() { threads_.stop(); }
  /// To be called on the thread.
  void add(std::weak_ptr<Connection> connection) { connections_.push_back(std::move(connection)); }

  /// Lets every connection end, and none begin.
  void shut_down() {
    asio::post(context(), [this] {
      handshakes_.close();
      each([](Connection& connection) { connection.shut_down(); });
    });
  }

 private:
  template <class Action>
  void each(Action action) {
    std::erase_if(connections_, [](const auto& connection) { return connection.expired(); });
    for (const auto& weak : connections_) {
      const auto connection = weak.lock();
      if (connection) run_contained("handler.failed", [&] { action(*connection); });
    }
  }

  asio::awaitable<void> tick() {
    asio::steady_timer pause(context());
    for (;;) {
      pause.expires_after(kBetweenTicks);
      co_await pause.async_wait(asio::use_awaitable);
      const std::size_t before = connections_.size();
      each([](Connection& connection) { connection.tick(); });
      ended_ += before - connections_.size();
      if (ended_ >= kEndedForTrim && before == connections_.size()) {
        ::malloc_trim(0);  // glibc keeps free memory between blocks in use
        ended_ = 0;
      }
    }
  }

  std::vector<std::weak_ptr<Connection>> connections_;
  std::size_t ended_ = 0;   ///< connections ended since memory was given back
  net::Places handshakes_;  ///< outlives the connections, which end with the threads' context at the latest
  net::IoThreads threads_{1};
};

class RunningAcceptor final : public Acceptor {
 public:
  RunningAcceptor(const net::ConnectionLimits& limits, Doorway& doorway, Metrics& metrics)
      : doorway_(doorway), metrics_(metrics), connections_(limits) {
    const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
    for (unsigned i = 0; i < cores; ++i)
      workers_.push_back(std::make_unique<Worker>(std::max(1U, kHandshakes / cores)));
  }
  ~RunningAcceptor() override { end_threads(); }

  Status listen(const std::vector<std::string>& addresses, const std::vector<Network>& proxies) {
    net::Acceptor::Settings settings;
    settings.addresses = addresses;
    settings.proxies = proxies;
    CAPF_LET(acceptor_, net::Acceptor::listen(workers_.front()->context(), settings, connections_));
    return {};
  }

  void open(std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> server) override {
    doorway_.server = std::move(server);
    for (const auto& worker : workers_) worker->start();
    acceptor_->open([this] { return workers_[next_++ % workers_.size()]->context().get_executor(); },
                    [this](net::tcp::socket socket, net::Connections::Place place, const Endpoint& peer) {
                      take(std::move(socket), std::move(place), peer);
                    },
                    [this] { metrics_.count_refusal(Reason::kOverloaded); });
  }

  void close() override {
    acceptor_->close();
    for (const auto& worker : workers_) worker->shut_down();
  }

  void wait(std::chrono::milliseconds patience) override { connections_.wait_until_empty(patience); }

  void stop() override { end_threads(); }

  int port() const override { return acceptor_->port(); }
  const std::vector<std::string>& addresses() const override { return acceptor_->addresses(); }

 private:
  void end_threads() {
    for (const auto& worker : workers_) worker->stop();
  }

  void take(net::tcp::socket socket, net::Connections::Place place, const Endpoint& peer) {
    const auto executor = socket.get_executor();
    Worker& worker = **std::find_if(workers_.begin(), workers_.end(), [&](const auto& candidate) {
      return candidate->context().get_executor() == executor;
    });
    const auto connection =
        std::make_shared<Connection>(std::move(socket), std::move(place), peer, doorway_, worker.handshakes());
    worker.add(connection);
    connection->start();
  }

  Doorway& doorway_;
  Metrics& metrics_;
  net::Connections connections_;
  std::vector<std::unique_ptr<Worker>> workers_;  ///< whose contexts own the connections
  std::unique_ptr<net::Acceptor> acceptor_;
  std::size_t next_ = 0;
};

}  // namespace

Result<std::unique_ptr<Acceptor>> Acceptor::listen(const std::vector<std::string>& addresses,
                                                   const std::vector<Network>& proxies,
                                                   const net::ConnectionLimits& limits, Doorway& doorway,
                                                   Metrics& metrics) {
  auto acceptor = std::make_unique<RunningAcceptor>(limits, doorway, metrics);
  CAPF_TRY(acceptor->listen(addresses, proxies));
  return acceptor;
}

}  // namespace capf::rpc
