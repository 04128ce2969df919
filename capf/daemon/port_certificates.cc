#include "capf/daemon/port_certificates.h"

#include <utility>
#include <vector>

#include "capf/base/log.h"
#include "capf/ca/certificate.h"
#include "capf/daemon/host.h"

namespace capf::daemon {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::hours kRenewalPause{1};

bool belongs(const std::vector<Bytes>& chain, const ca::SigningKey& key) {
  const auto facts = ca::read_certificate(chain.front());
  return facts && facts->key.sha256 == sha256(key.public_key());
}

}  // namespace

PortCertificates::PortCertificates(const Configuration& configuration, const Renewal& renewal, const Secret& passphrase,
                                   const service::HighWater& high_water, service::OwnCertificates& own,
                                   Identity site_ca, Identity server)
    : configuration_(configuration),
      renewal_(renewal),
      files_(renewal.files),
      passphrase_(passphrase),
      high_water_(high_water),
      own_(own),
      site_ca_(std::move(site_ca)),
      server_(std::move(server)),
      watcher_({files_.certificate("site-ca"), files_.certificate("server"), files_.key("server")}) {
  watcher_.changed();
  report_ends();
}

Result<rpc::ListenSettings> PortCertificates::phone_port() const {
  rpc::ListenSettings settings;
  settings.certificate_pem = chain_pem(server_.chain);
  CAPF_LET(settings.key_pem, server_.key->private_pem());
  return settings;
}

Result<rpc::ListenSettings> PortCertificates::admin_port() const {
  CAPF_LET(auto settings, phone_port());
  settings.client_authorities_pem = chain_pem(site_ca_.chain);
  return settings;
}

void PortCertificates::keep(const Show& show) {
  take_over(show);
  const auto now = steady_clock::now();
  const auto due = renews_at(server_.chain.front(), site_ca_.chain.front());
  if (!due || renewal_.clock.now() < *due || now < next_renewal_) return;
  const auto lock = FolderLock::take(files_.keys());
  if (!lock) return;  // a command that works with the keys, or this server's own start, is soon done
  next_renewal_ = now + kRenewalPause;
  renewal_complaint_.report(renew());
  take_over(show);
}

void PortCertificates::take_over(const Show& show) {
  if (!watcher_.changed()) return;
  Status taken = read();
  if (taken) taken = show();
  if (!taken) return log_error("server.certificate_kept", taken.error());
  log_info("server.certificate_replaced");
}

Status PortCertificates::read() {
  CAPF_LET(auto site_ca, read_chain(files_, "site-ca"));
  if (!belongs(site_ca, *site_ca_.key)) {
    return fail(Reason::kInvalidConfiguration, "the site CA has another key: start the server again");
  }
  CAPF_LET(auto server, read_chain(files_, "server"));
  // A renewal keeps the key, whose file may have another passphrase by now.
  if (belongs(server, *server_.key)) {
    server_.chain = std::move(server);
  } else {
    CAPF_LET(server_, open_identity(files_, "server", passphrase_));
  }
  site_ca_.chain = std::move(site_ca);
  report_ends();
  return {};
}

Status PortCertificates::renew() {
  // A database that has forgotten something gets no event that it may lose.
  CAPF_TRY(high_water_.check());
  CAPF_TRY(renew_server(renewal_, site_ca_, *server_.key, public_host(configuration_)));
  return {};
}

/// The wire port and the responder report those of theirs themselves.
void PortCertificates::report_ends() {
  const BytesView site_ca = site_ca_.chain.front();
  const BytesView server = server_.chain.front();
  const std::pair<ExpiryKind, BytesView> certificates[]{{ExpiryKind::kSiteCa, site_ca}, {ExpiryKind::kServer, server}};
  for (const auto& [kind, der] : certificates) {
    const auto facts = ca::read_certificate(der);
    if (!facts) continue;
    Expiry expiry{.kind = kind, .name = {}, .role = {}, .not_after = facts->not_after};
    if (kind == ExpiryKind::kServer) expiry.renews_at = renews_at(server, site_ca);
    own_.set(kind, {expiry});
  }
}

}  // namespace capf::daemon
