#include "capf/wire/listener.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "capf/base/endpoint.h"
#include "capf/base/log.h"
#include "capf/net/descriptors.h"
#include "capf/wire/connection.h"

namespace capf::wire {
namespace {

namespace asio = net::asio;
using net::tcp;

constexpr int kTriesToListen = 5;
constexpr std::chrono::milliseconds kAfterFailedAccept{100};
/// Descriptors for all else: the database, the other listeners, files.
constexpr int kOtherDescriptors = 256;
/// For calls of the service that run when the patience is over; the database has limits of its own.
constexpr std::chrono::seconds kLastCalls{5};

int io_threads(const ListenerSettings& settings) {
  return settings.io_threads > 0 ? settings.io_threads
                                 : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

ListenerSettings within_descriptors(ListenerSettings settings) {
  const std::size_t limit = net::raise_descriptor_limit();
  const int left = static_cast<int>(std::min<std::size_t>(limit, 1 << 24)) - kOtherDescriptors;
  if (left < settings.connections) {
    settings.connections = std::max(1, left);
    log_warning("listener.descriptors", {{"limit", limit}, {"connections", settings.connections}});
  }
  return settings;
}

class RunningListener final : public Listener {
 public:
  RunningListener(const ListenerSettings& settings, std::shared_ptr<const net::TlsContext> tls, OpenDesk open_desk,
                  Metrics* metrics)
      : hall_(within_descriptors(settings), std::move(tls), std::move(open_desk), metrics) {
    const int threads = io_threads(settings);
    const int handshakes = std::max(1, settings.handshakes / threads);
    for (int i = 0; i < threads; ++i) workers_.push_back(std::make_unique<Worker>(handshakes));
  }
  ~RunningListener() override { stop(Duration::zero()); }

  Status listen() {
    for (int i = 1;; ++i) {
      CAPF_LET(const std::vector<Endpoint> endpoints, plan_endpoints(hall_.settings.addresses));
      const Status bound = bind(endpoints);
      if (bound) return {};
      acceptors_.clear();
      if (i == kTriesToListen) return bound;
    }
  }

  int port() const override { return port_; }
  const std::vector<std::string>& addresses() const override { return addresses_; }
  void replace(std::shared_ptr<const net::TlsContext> tls) override { hall_.replace(std::move(tls)); }
  ListenerCounts counts() const override { return hall_.counts(); }

  void stop(Duration patience) override {
    if (std::exchange(stopped_, true)) return;
    hall_.draining = true;
    asio::post(workers_.front()->threads.context(), [this] {
      net::error_code ignored;
      for (tcp::acceptor& acceptor : acceptors_) acceptor.close(ignored);
    });
    for (const auto& worker : workers_) {
      asio::post(worker->threads.context(), [&places = worker->places] { places.close(); });
    }
    hall_.dismiss(false);
    if (!hall_.wait_until_empty(patience)) {
      hall_.dismiss(true);
      hall_.wait_until_empty(kLastCalls);
    }
    hall_.stranger_pool.stop();
    hall_.pool.stop();
    hall_.stranger_pool.join();
    hall_.pool.join();
    for (const auto& worker : workers_) worker->threads.stop();
  }

 private:
  Status bind(const std::vector<Endpoint>& endpoints) {
    for (const Endpoint& endpoint : endpoints) {
      CAPF_LET(tcp::acceptor acceptor, net::listen_on(workers_.front()->threads.context(), endpoint));
      net::error_code error;
      acceptor.listen(hall_.settings.backlog, error);
      acceptors_.push_back(std::move(acceptor));
    }
    port_ = endpoints.front().port;
    for (const Endpoint& endpoint : endpoints) addresses_.push_back(endpoint.to_string());
    for (tcp::acceptor& acceptor : acceptors_) {
      asio::co_spawn(acceptor.get_executor(), accept(acceptor), asio::detached);
    }
    return {};
  }

  asio::awaitable<void> accept(tcp::acceptor& acceptor) {
    asio::steady_timer pause(acceptor.get_executor());
    while (!hall_.draining) {
      Worker& worker = *workers_[next_++ % workers_.size()];
      net::error_code error;
      tcp::socket socket =
          co_await acceptor.async_accept(worker.threads.context(), asio::redirect_error(asio::use_awaitable, error));
      if (error == asio::error::operation_aborted) co_return;
      if (error) {  // no descriptors left, say: not at once again
        pause.expires_after(kAfterFailedAccept);
        co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
        continue;
      }
      admit(std::move(socket), worker);
    }
  }

  void admit(tcp::socket socket, Worker& worker) {
    const Address peer = net::peer_of(socket);
    const std::string block = peer.block();
    if (!hall_.enter(block)) return;
    std::shared_ptr<Connection> connection;
    try {
      connection = std::make_shared<Connection>(std::move(socket), peer, hall_, worker);
      connection->start();
    } catch (const std::exception& error) {  // no memory left, say
      if (!connection) hall_.leave(block, true);
      log_error("connection.failed", {{"cause", error.what()}});
    }
  }

  Hall hall_;  ///< before the workers, whose contexts own the connections
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<tcp::acceptor> acceptors_;  ///< on the first worker
  std::vector<std::string> addresses_;
  std::size_t next_ = 0;
  int port_ = 0;
  bool stopped_ = false;
};

}  // namespace

Result<std::unique_ptr<Listener>> Listener::start(const ListenerSettings& settings,
                                                  std::shared_ptr<const net::TlsContext> tls, OpenDesk open_desk,
                                                  Metrics* metrics) {
  auto listener = std::make_unique<RunningListener>(settings, std::move(tls), std::move(open_desk), metrics);
  CAPF_TRY(listener->listen());
  return listener;
}

}  // namespace capf::wire
