#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "capf/base/metrics.h"
#include "capf/daemon/configuration.h"
#include "capf/daemon/site.h"
#include "capf/daemon/watcher.h"
#include "capf/domain/database.h"
#include "capf/service/expiry.h"
#include "capf/wire/listener.h"

namespace capf::daemon {

/// The port on which phones speak the CAPF protocol, with the certificates that it shows.
class WirePort {
 public:
  /// Opens the site's wire certificate that is to be shown and, where there is one, `wire-ec`, and listens.
  /// @param passphrase of the keys; it outlives the port, which opens them again when their files change.
  /// @param own gets the expiries of the certificates that are shown.
  /// @param others public keys, SubjectPublicKeyInfo, that must not be this port's where legacy phones are allowed.
  /// Errors: INVALID_CONFIGURATION, those of opening keys, and of the database, which reserves the keys.
  static Result<std::unique_ptr<WirePort>> start(const Configuration& configuration, const SiteFiles& files,
                                                 const Secret& passphrase, const std::vector<Bytes>& others,
                                                 Database& database, Metrics& metrics, service::OwnCertificates& own,
                                                 wire::OpenDesk open_desk);

  const std::vector<std::string>& addresses() const { return listener_->addresses(); }
  /// To be called from time to time: updates the metrics, and takes over certificates that have been replaced.
  void tick();
  void stop(std::chrono::milliseconds patience) { listener_->stop(patience); }

 private:
  WirePort(const Configuration& configuration, SiteFiles files, const Secret& passphrase, std::vector<Bytes> others,
           Database& database, Metrics& metrics, service::OwnCertificates& own)
      : configuration_(configuration),
        files_(std::move(files)),
        passphrase_(passphrase),
        others_(std::move(others)),
        database_(database),
        metrics_(metrics),
        own_(own) {}

  Result<std::shared_ptr<const net::TlsContext>> open_tls();
  Status claim_keys();
  Watcher::Paths shown_files() const;

  const Configuration& configuration_;
  const SiteFiles files_;
  const Secret& passphrase_;
  const std::vector<Bytes> others_;
  Database& database_;
  Metrics& metrics_;
  service::OwnCertificates& own_;
  std::vector<KeyDigests> unclaimed_;  ///< keys that the record does not reserve for the site yet
  Watcher watcher_{[this] { return shown_files(); }};
  std::unique_ptr<wire::Listener> listener_;  ///< last: it calls what stands above
};

}  // namespace capf::daemon
