#include "capf/tvs/listener.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "capf/base/log.h"
#include "capf/net/acceptor.h"
#include "capf/net/descriptors.h"
#include "capf/tvs/connection.h"

namespace capf::tvs {
namespace {

namespace asio = net::asio;
using net::tcp;

/// Descriptors for everything else: the database, the other listeners, files.
constexpr int kOtherDescriptors = 256;
/// The time for look-ups that still run when the patience is over; the database has limits of its own.
constexpr std::chrono::seconds kLastCalls{5};

int io_threads(const ListenerSettings& settings) {
  return settings.io_threads > 0 ? settings.io_threads
                                 : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

ListenerSettings within_descriptors(ListenerSettings settings) {
  const std::size_t limit = net::raise_descriptor_limit().now;
  const int left = static_cast<int>(std::min<std::size_t>(limit, 1 << 24)) - kOtherDescriptors;
  if (left < settings.connections) {
    settings.connections = std::max(1, left);
    log_warning("tvs.descriptors", {{"limit", limit}, {"connections", settings.connections}});
  }
  return settings;
}

class RunningListener final : public Listener {
 public:
  RunningListener(const ListenerSettings& settings, std::shared_ptr<const net::TlsContext> tls,
                  CertificateSource& source, const Clock& clock, Metrics* metrics)
      : hall_(within_descriptors(settings), std::move(tls), source, clock, metrics) {
    const int threads = io_threads(settings);
    const int handshakes = std::max(1, settings.handshakes / threads);
    for (int i = 0; i < threads; ++i) workers_.push_back(std::make_unique<Worker>(handshakes));
  }
  ~RunningListener() override { stop(Duration::zero()); }

  Status listen() {
    net::Acceptor::Settings settings;
    settings.addresses = hall_.settings.addresses;
    settings.backlog = hall_.settings.backlog;
    settings.proxies = hall_.settings.proxies;
    CAPF_LET(acceptor_, net::Acceptor::listen(workers_.front()->threads.context(), settings, hall_.connections));
    acceptor_->open([this] { return workers_[next_++ % workers_.size()]->threads.context().get_executor(); },
                    [this](tcp::socket socket, net::Connections::Place place, const Endpoint& peer) {
                      admit(std::move(socket), std::move(place), peer.address);
                    });
    return {};
  }

  int port() const override { return acceptor_->port(); }
  const std::vector<std::string>& addresses() const override { return acceptor_->addresses(); }
  void replace(std::shared_ptr<const net::TlsContext> tls) override { hall_.tls.replace(std::move(tls)); }
  ListenerCounts counts() const override { return hall_.counts(); }

  void stop(Duration patience) override {
    if (std::exchange(stopped_, true)) return;
    hall_.draining = true;
    if (acceptor_) acceptor_->close();
    for (const auto& worker : workers_) {
      asio::post(worker->threads.context(), [&places = worker->places] { places.close(); });
    }
    hall_.dismiss(false);
    if (!hall_.connections.wait_until_empty(patience)) {
      hall_.dismiss(true);
      hall_.connections.wait_until_empty(kLastCalls);
    }
    hall_.pool.stop();
    hall_.pool.join();
    for (const auto& worker : workers_) worker->threads.stop();
  }

 private:
  Worker& worker_of(tcp::socket& socket) const {
    const auto& context = asio::query(socket.get_executor(), asio::execution::context);
    const auto found = std::find_if(workers_.begin(), workers_.end(),
                                    [&](const auto& worker) { return &worker->threads.context() == &context; });
    CAPF_INVARIANT(found != workers_.end());
    return **found;
  }

  void admit(tcp::socket socket, net::Connections::Place place, const Address& peer) {
    Worker& worker = worker_of(socket);
    std::make_shared<Connection>(std::move(socket), std::move(place), peer, hall_, worker)->start();
  }

  Hall hall_;  ///< declared before the workers, whose contexts own the connections
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<net::Acceptor> acceptor_;  ///< on the first worker
  std::size_t next_ = 0;
  bool stopped_ = false;
};

}  // namespace

Result<std::unique_ptr<Listener>> Listener::start(const ListenerSettings& settings,
                                                  std::shared_ptr<const net::TlsContext> tls, CertificateSource& source,
                                                  const Clock& clock, Metrics* metrics) {
  auto listener = std::make_unique<RunningListener>(settings, std::move(tls), source, clock, metrics);
  CAPF_TRY(listener->listen());
  return listener;
}

}  // namespace capf::tvs
