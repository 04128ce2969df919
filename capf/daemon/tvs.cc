#include "capf/daemon/tvs.h"

#include <algorithm>
#include <utility>

#include "capf/base/log.h"
#include "capf/ca/asn1.h"
#include "capf/ca/certificate.h"
#include "capf/ca/spki.h"
#include "capf/daemon/endpoints.h"
#include "capf/daemon/key_purposes.h"
#include "capf/domain/key_store.h"
#include "capf/service/steps.h"

namespace capf::daemon {
namespace {

tvs::ListenerSettings listener_settings(const Configuration& configuration) {
  const TvsSettings& wanted = configuration.tvs;
  tvs::ListenerSettings settings;
  settings.addresses = with_port(configuration.tvs_listener.addresses, configuration.tvs_port());
  settings.lifetime = wanted.lifetime;
  settings.handshake = wanted.handshake;
  settings.question = wanted.question;
  settings.connections = wanted.connections;
  settings.connections_per_address = wanted.connections_per_address;
  settings.handshakes = wanted.handshakes;
  settings.backlog = wanted.backlog;
  settings.proxies = configuration.trusted_proxies;
  return settings;
}

tvs::Vouched vouched(const TrustedCertificate& certificate) {
  return {certificate.der,        certificate.issuer,    certificate.roles,
          certificate.not_before, certificate.not_after, certificate.blocked};
}

Result<tvs::Vouched> vouched(const service::OwnCertificate& own) {
  CAPF_LET(const auto facts, ca::read_certificate(own.der));
  return tvs::Vouched{own.der, facts.issuer, own.roles, facts.not_before, facts.not_after};
}

bool has_serial(BytesView der, BytesView serial) {
  const auto outline = ca::read_outline(der);
  if (!outline) return false;
  BytesView its = outline->serial;
  while (its.size() > 1 && its.front() == 0) its = its.subspan(1);
  return std::equal(its.begin(), its.end(), serial.begin(), serial.end());
}

}  // namespace

/// By a clock that is before what the site has signed, an expired certificate would be good.
Status VouchedCertificates::check() const {
  CAPF_TRY(high_water_.check());
  if (auto later = service::signed_of_later(clock_.now(), clock_)) return fail(Reason::kClockSkew, *std::move(later));
  return {};
}

Result<std::optional<tvs::Vouched>> VouchedCertificates::find_by_digest(const Sha256& digest) {
  CAPF_TRY(check());
  for (const service::OwnCertificate& own : keys_.own_certificates()) {
    if (sha256(own.der) != digest) continue;
    CAPF_LET(auto its, vouched(own));
    return its;
  }
  CAPF_LET(const auto found, certificates_.find(digest));
  return found ? std::optional(vouched(*found)) : std::nullopt;
}

Result<std::vector<tvs::Vouched>> VouchedCertificates::find_by_serial(BytesView serial) {
  CAPF_TRY(check());
  std::vector<tvs::Vouched> all;
  for (const service::OwnCertificate& own : keys_.own_certificates()) {
    if (!has_serial(own.der, serial)) continue;
    CAPF_LET(auto its, vouched(own));
    all.push_back(std::move(its));
  }
  CAPF_LET(const auto found, certificates_.find_by_serial(serial, static_cast<int>(tvs::kMostOfOneSerial)));
  for (const TrustedCertificate& certificate : found) all.push_back(vouched(certificate));
  return all;
}

Result<std::unique_ptr<TvsPort>> TvsPort::start(const Configuration& configuration, const SiteFiles& files,
                                                const Secret& passphrase, std::vector<Bytes> others, Database& database,
                                                VouchedCertificates source, const Clock& clock, Metrics& metrics,
                                                service::OwnCertificates& own) {
  std::unique_ptr<TvsPort> port(
      new TvsPort(configuration, files, passphrase, std::move(others), database, std::move(source), own));
  port->watcher_.changed();
  CAPF_LET(auto tls, port->open_tls());
  if (configuration.tvs.legacy_phones) {
    log_warning("tvs.legacy_phones",
                {{"words", "TLS 1.0 with AES128-SHA is spoken by the Trust Verification Service"}});
  }
  CAPF_LET(port->listener_,
           tvs::Listener::start(listener_settings(configuration), std::move(tls), port->source_, clock, &metrics));
  return port;
}

Result<std::shared_ptr<const net::TlsContext>> TvsPort::open_tls() {
  CAPF_LET(const std::string name, shown_on(tvs_purpose(), files_));
  if (names_of(tvs_purpose(), files_).empty()) {
    return fail(Reason::kInvalidConfiguration,
                "listen.tvs needs a certificate: 'capfd tvs-certificate add' makes it, and 'capfd init --phone-files' "
                "all that phones' files need");
  }
  CAPF_LET(const Identity identity, open_identity(files_, name, passphrase_));
  const Bytes key = identity.key->public_key();
  CAPF_TRY(check_alone(name, key));
  const Status claimed = claim(key);
  // A standby cannot be written: the primary has the claims of earlier starts.
  if (!claimed && claimed.error().reason != Reason::kDatabaseReadOnly) return fail(claimed.error());
  CAPF_LET(Secret key_pem, identity.key->private_pem());
  net::TlsSettings settings;
  settings.legacy_phones = configuration_.tvs.legacy_phones;
  settings.client = net::TlsSettings::Client::kAsked;
  settings.identities.push_back({chain_pem(identity.chain), std::move(key_pem)});
  CAPF_LET(auto tls, net::TlsContext::make(settings));
  if (const auto facts = ca::read_certificate(identity.chain.front())) {
    own_.set(ExpiryKind::kTvs,
             {Expiry{.kind = ExpiryKind::kTvs, .name = {}, .role = {}, .not_after = facts->not_after}});
  }
  return tls;
}

/// RSA key exchange makes a key an oracle for decryption, and either port may speak it: so none is shared.
Status TvsPort::check_alone(const std::string& name, const Bytes& key) const {
  if (std::find(others_.begin(), others_.end(), key) == others_.end()) return {};
  return fail(Reason::kInvalidConfiguration, "the Trust Verification Service needs a key of its own, and " +
                                                 files_.key(name).string() + " serves something else");
}

Status TvsPort::claim(const Bytes& key) {
  return database_.write([&](Transaction& tx) -> Status {
    CAPF_TRY(tx.keys().claim(ca::key_digests(key), KeyOwner::kSite, 0));
    return {};
  });
}

Watcher::Paths TvsPort::shown_files() const { return shown_paths(tvs_purpose(), files_); }

void TvsPort::tick() {
  if (!watcher_.changed()) return;
  auto tls = open_tls();
  if (!tls && tls.error().reason == Reason::kDatabaseUnavailable) {
    watcher_.forget();
    return log_debug("tvs.certificate_waits", {{"reason", tls.error().reason}});
  }
  if (!tls) return log_error("tvs.certificate_kept", tls.error());
  listener_->replace(*std::move(tls));
  log_info("tvs.certificate_replaced");
}

}  // namespace capf::daemon
