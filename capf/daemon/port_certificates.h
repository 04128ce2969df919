#pragma once

#include <chrono>
#include <functional>

#include "capf/daemon/complaint.h"
#include "capf/daemon/configuration.h"
#include "capf/daemon/renewal.h"
#include "capf/daemon/site.h"
#include "capf/daemon/watcher.h"
#include "capf/rpc/server.h"
#include "capf/service/expiry.h"
#include "capf/service/highwater.h"

namespace capf::daemon {

/// The certificates of the gRPC ports: the server's, and the site CA's, under which administrators are. Their files are
/// read again when they change, and the server's certificate is renewed in its last third. Threads: one.
class PortCertificates {
 public:
  /// Lets the ports show what phone_port() and admin_port() have now.
  using Show = std::function<Status()>;

  /// @param renewal where and by whom the server's certificate is renewed
  /// @param passphrase of the keys
  /// @param own gets the expiries. Everything but the identities outlives this.
  PortCertificates(const Configuration& configuration, const Renewal& renewal, const Secret& passphrase,
                   const service::HighWater& high_water, service::OwnCertificates& own, Identity site_ca,
                   Identity server);

  const Identity& site_ca() const { return site_ca_; }
  const Identity& server() const { return server_; }
  /// Settings with the certificates and the key alone.
  Result<rpc::ListenSettings> phone_port() const;
  Result<rpc::ListenSettings> admin_port() const;

  /// Renews what is due, and takes over what the files have. Call it now and then.
  void keep(const Show& show);

 private:
  void take_over(const Show& show);
  Status read();
  Status renew();
  void report_ends();

  const Configuration& configuration_;
  const Renewal renewal_;
  const SiteFiles& files_;
  const Secret& passphrase_;
  const service::HighWater& high_water_;
  service::OwnCertificates& own_;
  Identity site_ca_;
  Identity server_;
  Watcher watcher_;
  std::chrono::steady_clock::time_point next_renewal_{};
  Complaint renewal_complaint_{"server.certificate_not_renewed"};
};

}  // namespace capf::daemon
