#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "capf/daemon/configuration.h"
#include "capf/daemon/endpoints.h"
#include "capf/daemon/files.h"
#include "capf/daemon/port_certificates.h"
#include "capf/daemon/tvs.h"
#include "capf/daemon/wire.h"
#include "capf/rpc/server.h"
#include "capf/web/publication.h"
#include "capf/web/server.h"

namespace capf::daemon {

/// The ports of a server. One that the configuration does not want stays closed. Threads: one.
class Listeners {
 public:
  /// Both outlive this.
  Listeners(const Configuration& configuration, const PortCertificates& certificates)
      : configuration_(configuration), certificates_(certificates) {}

  // Errors: those of the servers, which say what they keep references to.
  void add_wire(std::unique_ptr<WirePort> port);
  void add_tvs(std::unique_ptr<TvsPort> port);
  void add_files_tls(std::unique_ptr<FilesTlsPort> port);
  Status open_files(const web::LaterRoute& route);
  Status open_phone(const rpc::UseCases& use_cases);
  Status open_admin(const rpc::UseCases& use_cases);
  Status open_status(const web::Publication& publication);
  Status open_metrics(const web::Route& route);
  /// Where an address is not loopback, with TLS and a client certificate under the site CA. @param refused is told of
  /// clients whose certificate ends the handshake.
  Status open_calls(const web::LaterRoute& route, std::function<void(const Address& peer, Reason reason)> refused);

  const Endpoints& endpoints() const { return endpoints_; }
  /// Shows the certificates of the gRPC ports, and of that for dial plans, to whoever connects from now on; open
  /// connections stay as they are.
  Status replace_certificates();
  /// Call it now and then: see WirePort::tick(), TvsPort::tick() and FilesTlsPort::tick().
  void tick();

  /// Ends the ports of phones and administrators: no new calls, and running ones end within `patience`.
  void stop_calls(std::chrono::milliseconds patience);
  void stop_status();
  void stop_metrics();
  void stop_calls_port();
  void stop_files();

 private:
  Result<std::shared_ptr<const net::TlsContext>> calls_tls() const;

  const Configuration& configuration_;
  const PortCertificates& certificates_;
  Endpoints endpoints_;
  std::unique_ptr<WirePort> wire_;
  std::unique_ptr<TvsPort> tvs_;
  std::unique_ptr<web::Server> files_;
  std::unique_ptr<FilesTlsPort> files_tls_;
  std::unique_ptr<rpc::Server> phone_;
  std::unique_ptr<rpc::Server> admin_;
  std::unique_ptr<web::Server> status_;
  std::unique_ptr<web::Server> metrics_;
  std::unique_ptr<web::Server> calls_;
  bool calls_have_tls_ = false;
};

}  // namespace capf::daemon
