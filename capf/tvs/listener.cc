#include "capf/tvs/listener.h"

#include <utility>

#include "capf/net/descriptors.h"
#include "capf/net/running_listener.h"
#include "capf/tvs/connection.h"

namespace capf::tvs {
namespace {

ListenerSettings within_descriptors(ListenerSettings settings) {
  settings.connections = net::within_descriptors(settings.connections, "tvs.descriptors");
  return settings;
}

using RunningListener = net::RunningListener<Listener, Hall, Connection>;

}  // namespace

Result<std::unique_ptr<Listener>> Listener::start(const ListenerSettings& settings,
                                                  std::shared_ptr<const net::TlsContext> tls, CertificateSource& source,
                                                  const Clock& clock, Metrics* metrics) {
  auto listener =
      std::make_unique<RunningListener>(within_descriptors(settings), std::move(tls), source, clock, metrics);
  CAPF_TRY(listener->listen());
  return listener;
}

}  // namespace capf::tvs
