#pragma once

#include <chrono>
#include <memory>

#include "capf/daemon/configuration.h"
#include "capf/daemon/endpoints.h"
#include "capf/daemon/port_certificates.h"
#include "capf/daemon/wire.h"
#include "capf/rpc/server.h"
#include "capf/web/publication.h"
#include "capf/web/server.h"

namespace capf::daemon {

/// The five ports of a server. One that the configuration does not want stays closed. Threads: one.
class Listeners {
 public:
  /// Both outlive this.
  Listeners(const Configuration& configuration, const PortCertificates& certificates)
      : configuration_(configuration), certificates_(certificates) {}

  // Errors: those of the servers, which say what they keep references to.
  void add_wire(std::unique_ptr<WirePort> port);
  Status open_phone(const rpc::UseCases& use_cases);
  Status open_admin(const rpc::UseCases& use_cases);
  Status open_status(const web::Publication& publication);
  Status open_metrics(const web::Route& route);

  const Endpoints& endpoints() const { return endpoints_; }
  /// Shows the certificates of the gRPC ports to whoever connects from now on; open connections stay as they are.
  Status replace_certificates();
  /// Call it now and then: see WirePort::tick().
  void tick();

  /// Ends the ports of phones and administrators: no new calls, and running ones end within `patience`.
  void stop_calls(std::chrono::milliseconds patience);
  void stop_status();
  void stop_metrics();

 private:
  const Configuration& configuration_;
  const PortCertificates& certificates_;
  Endpoints endpoints_;
  std::unique_ptr<WirePort> wire_;
  std::unique_ptr<rpc::Server> phone_;
  std::unique_ptr<rpc::Server> admin_;
  std::unique_ptr<web::Server> status_;
  std::unique_ptr<web::Server> metrics_;
};

}  // namespace capf::daemon
