#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "capf/base/time.h"
#include "capf/net/crew.h"
#include "capf/net/tls.h"

namespace capf::net {

/// A listener that runs: its hall, which is the state that all of its connections share, and its crew.
/// @tparam Interface a module's own listener: port(), addresses(), replace(), counts() and stop()
/// @tparam Hall has settings, connections, present, tls, draining, counts(), pools(), on which blocking work runs, and
/// questions_at_once(), the threads of the one that answers strangers
/// @tparam Connection is made from its socket, its place, the peer, the hall and its worker, and started
template <class Interface, class Hall, class Connection>
class RunningListener final : public Interface {
 public:
  /// @param rest what the hall is made from beside its settings
  template <class Settings, class... Rest>
  explicit RunningListener(const Settings& settings, Rest&&... rest)
      : hall_(settings, std::forward<Rest>(rest)...),
        crew_(hall_.settings.io_threads, hall_.settings.handshakes, hall_.questions_at_once()) {}
  ~RunningListener() override { stop(Duration::zero()); }
  RunningListener(const RunningListener&) = delete;
  RunningListener& operator=(const RunningListener&) = delete;

  /// Errors: INVALID_CONFIGURATION.
  Status listen() {
    Acceptor::Settings settings;
    settings.addresses = hall_.settings.addresses;
    settings.backlog = hall_.settings.backlog;
    settings.proxies = hall_.settings.proxies;
    return crew_.listen(
        settings, hall_.connections,
        [this](tcp::socket socket, Connections::Place place, const Address& peer, Worker& worker) {
          std::make_shared<Connection>(std::move(socket), std::move(place), peer, hall_, worker)->start();
        });
  }

  int port() const override { return crew_.port(); }
  const std::vector<std::string>& addresses() const override { return crew_.addresses(); }
  void replace(std::shared_ptr<const TlsContext> tls) override { hall_.tls.replace(std::move(tls)); }
  auto counts() const -> decltype(std::declval<const Hall&>().counts()) override { return hall_.counts(); }

  void stop(Duration patience) override {
    if (std::exchange(stopped_, true)) return;
    hall_.draining = true;
    crew_.close();
    hall_.present.dismiss(false);
    if (!hall_.connections.wait_until_empty(patience)) {
      hall_.present.dismiss(true);
      hall_.connections.wait_until_empty(hall_.settings.last_calls);
    }
    for (auto* const pool : hall_.pools()) (*pool)->stop();
    for (auto* const pool : hall_.pools()) (*pool)->join();
    crew_.stop();
    // Calls that never began hold coroutines, whose ends are posted to the contexts of the crew: they go before it.
    for (auto* const pool : hall_.pools()) pool->reset();
  }

 private:
  Hall hall_;  ///< declared before the crew, whose contexts own the connections
  Crew crew_;
  bool stopped_ = false;
};

}  // namespace capf::net
