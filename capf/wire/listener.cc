#include "capf/wire/listener.h"

#include <utility>

#include "capf/net/descriptors.h"
#include "capf/net/running_listener.h"
#include "capf/wire/connection.h"

namespace capf::wire {
namespace {

ListenerSettings within_descriptors(ListenerSettings settings) {
  settings.connections = net::within_descriptors(settings.connections, "listener.descriptors");
  return settings;
}

using RunningListener = net::RunningListener<Listener, Hall, Connection>;

}  // namespace

Result<std::unique_ptr<Listener>> Listener::start(const ListenerSettings& settings,
                                                  std::shared_ptr<const net::TlsContext> tls, OpenDesk open_desk,
                                                  Metrics* metrics) {
  auto listener =
      std::make_unique<RunningListener>(within_descriptors(settings), std::move(tls), std::move(open_desk), metrics);
  CAPF_TRY(listener->listen());
  return listener;
}

}  // namespace capf::wire
