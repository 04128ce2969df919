#pragma once

#include <memory>
#include <string>
#include <vector>

#include "capf/base/metrics.h"
#include "capf/daemon/configuration.h"
#include "capf/daemon/site.h"
#include "capf/daemon/watcher.h"
#include "capf/domain/database.h"
#include "capf/service/expiry.h"
#include "capf/service/highwater.h"
#include "capf/service/phone_keys.h"
#include "capf/service/trusted_certificates.h"
#include "capf/tvs/listener.h"

namespace capf::daemon {

/// The certificates that the Trust Verification Service vouches for: this server's own that phones are to trust, as the
/// next list signer's, and those of others on record. It answers nothing where the database is behind, because that may
/// have forgotten that one was removed. It lives no longer than what it refers to.
class VouchedCertificates final : public tvs::CertificateSource {
 public:
  VouchedCertificates(service::TrustedCertificates& certificates, const service::PhoneKeys& keys,
                      const service::HighWater& high_water, const Clock& clock)
      : certificates_(certificates), keys_(keys), high_water_(high_water), clock_(clock) {}
  Result<std::optional<tvs::Vouched>> find_by_digest(const Sha256& digest) override;
  Result<std::vector<tvs::Vouched>> find_by_serial(BytesView serial) override;

 private:
  Status check() const;

  service::TrustedCertificates& certificates_;
  const service::PhoneKeys& keys_;
  const service::HighWater& high_water_;
  const Clock& clock_;
};

/// The port of the Trust Verification Service, with the certificate that it shows.
class TvsPort {
 public:
  /// Opens the site's TVS certificate that is to be shown, and listens.
  /// @param passphrase of the key; it outlives the port, which opens it again when its files change.
  /// @param own gets the expiry of the certificate that is shown.
  /// @param others public keys, SubjectPublicKeyInfo, that must not be this port's.
  /// Errors: INVALID_CONFIGURATION, those of opening keys, and of the database, which reserves the key.
  static Result<std::unique_ptr<TvsPort>> start(const Configuration& configuration, const SiteFiles& files,
                                                const Secret& passphrase, std::vector<Bytes> others, Database& database,
                                                VouchedCertificates source, const Clock& clock, Metrics& metrics,
                                                service::OwnCertificates& own);

  const std::vector<std::string>& addresses() const { return listener_->addresses(); }
  /// To be called from time to time: takes over a certificate that has been replaced.
  void tick();
  void stop(std::chrono::milliseconds patience) { listener_->stop(patience); }

 private:
  TvsPort(const Configuration& configuration, SiteFiles files, const Secret& passphrase, std::vector<Bytes> others,
          Database& database, VouchedCertificates source, service::OwnCertificates& own)
      : configuration_(configuration),
        files_(std::move(files)),
        passphrase_(passphrase),
        others_(std::move(others)),
        database_(database),
        source_(std::move(source)),
        own_(own) {}

  Result<std::shared_ptr<const net::TlsContext>> open_tls();
  Status check_alone(const std::string& name, const Bytes& key) const;
  Status claim(const Bytes& key);
  Watcher::Paths shown_files() const;

  const Configuration& configuration_;
  const SiteFiles files_;
  const Secret& passphrase_;
  const std::vector<Bytes> others_;
  Database& database_;
  VouchedCertificates source_;
  service::OwnCertificates& own_;
  Watcher watcher_{[this] { return shown_files(); }};
  std::unique_ptr<tvs::Listener> listener_;  ///< last: it calls what stands above
};

}  // namespace capf::daemon
