#include "capf/wire/listener.h"

#include <utility>

#include "capf/net/descriptors.h"
#include "capf/wire/connection.h"

namespace capf::wire {
namespace {

/// The time for calls of the service that still run when the patience is over; the database has limits of its own.
constexpr std::chrono::seconds kLastCalls{5};

ListenerSettings within_descriptors(ListenerSettings settings) {
  settings.connections = net::within_descriptors(settings.connections, "listener.descriptors");
  return settings;
}

class RunningListener final : public Listener {
 public:
  RunningListener(const ListenerSettings& settings, std::shared_ptr<const net::TlsContext> tls, OpenDesk open_desk,
                  Metrics* metrics)
      : hall_(within_descriptors(settings), std::move(tls), std::move(open_desk), metrics),
        crew_(settings.io_threads, settings.handshakes) {}
  ~RunningListener() override { stop(Duration::zero()); }

  Status listen() {
    net::Acceptor::Settings settings;
    settings.addresses = hall_.settings.addresses;
    settings.backlog = hall_.settings.backlog;
    settings.proxies = hall_.settings.proxies;
    return crew_.listen(
        settings, hall_.connections,
        [this](net::tcp::socket socket, net::Connections::Place place, const Address& peer, net::Worker& worker) {
          std::make_shared<Connection>(std::move(socket), std::move(place), peer, hall_, worker)->start();
        });
  }

  int port() const override { return crew_.port(); }
  const std::vector<std::string>& addresses() const override { return crew_.addresses(); }
  void replace(std::shared_ptr<const net::TlsContext> tls) override { hall_.tls.replace(std::move(tls)); }
  ListenerCounts counts() const override { return hall_.counts(); }

  void stop(Duration patience) override {
    if (std::exchange(stopped_, true)) return;
    hall_.draining = true;
    crew_.close();
    hall_.present.dismiss(false);
    if (!hall_.connections.wait_until_empty(patience)) {
      hall_.present.dismiss(true);
      hall_.connections.wait_until_empty(kLastCalls);
    }
    for (auto* const pool : {&hall_.stranger_pool, &hall_.pool, &hall_.record_pool}) pool->stop();
    for (auto* const pool : {&hall_.stranger_pool, &hall_.pool, &hall_.record_pool}) pool->join();
    crew_.stop();
  }

 private:
  Hall hall_;  ///< declared before the crew, whose contexts own the connections
  net::Crew crew_;
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
