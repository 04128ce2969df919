#include "capf/daemon/wire.h"

#include <algorithm>
#include <map>
#include <system_error>
#include <utility>

#include "capf/base/log.h"
#include "capf/ca/certificate.h"
#include "capf/ca/spki.h"
#include "capf/daemon/endpoints.h"
#include "capf/daemon/key_purposes.h"
#include "capf/domain/key_store.h"

namespace capf::daemon {
namespace {

/// Names of files.
using Shown = std::vector<std::pair<std::string, ExpiryKind>>;

Result<Shown> shown_identities(const SiteFiles& files) {
  CAPF_LET(std::string wire, shown_wire(files));
  return Shown{{std::move(wire), ExpiryKind::kWire}, {"wire-ec", ExpiryKind::kWireEc}};
}

Result<net::TlsIdentity> tls_identity(const Identity& identity) {
  net::TlsIdentity tls;
  for (const Bytes& certificate : identity.chain) {
    const std::string pem = ca::to_pem(certificate);
    tls.certificates_pem.insert(tls.certificates_pem.end(), pem.begin(), pem.end());
  }
  CAPF_LET(tls.key_pem, identity.key->private_pem());
  return tls;
}

wire::ListenerSettings listener_settings(const Configuration& configuration) {
  const WireSettings& wanted = configuration.wire;
  wire::ListenerSettings settings;
  settings.addresses = with_port(configuration.wire_listener.addresses, configuration.wire_port());
  settings.session = {.first_answer = wanted.first_answer,
                      .answer = wanted.answer,
                      .key_generation = wanted.key_generation,
                      .conceal_devices = wanted.conceal_devices};
  settings.handshake = wanted.handshake;
  settings.whole_session = wanted.key_generation + std::chrono::minutes(15);
  settings.keep_alive = wanted.keep_alive;
  settings.connections = wanted.connections;
  settings.connections_per_address = wanted.connections_per_address;
  settings.strangers = wanted.unauthenticated_connections;
  settings.strangers_per_address = wanted.unauthenticated_connections_per_address;
  settings.handshakes = wanted.handshakes;
  settings.backlog = wanted.backlog;
  settings.proxies = configuration.trusted_proxies;
  return settings;
}

}  // namespace

Result<std::unique_ptr<WirePort>> WirePort::start(const Configuration& configuration, const SiteFiles& files,
                                                  const Secret& passphrase, const std::vector<Bytes>& others,
                                                  Database& database, Metrics& metrics, service::OwnCertificates& own,
                                                  wire::OpenDesk open_desk) {
  std::unique_ptr<WirePort> port(new WirePort(configuration, files, passphrase, others, database, metrics, own));
  port->watcher_.changed();
  CAPF_LET(auto tls, port->open_tls());
  if (configuration.wire.legacy_phones) {
    log_warning("wire.legacy_phones", {{"words", "TLS 1.0 with AES128-SHA is spoken on the phones' port"}});
  }
  metrics.set_legacy_phones(configuration.wire.legacy_phones);
  CAPF_LET(port->listener_,
           wire::Listener::start(listener_settings(configuration), std::move(tls), std::move(open_desk), &metrics));
  return port;
}

Result<std::shared_ptr<const net::TlsContext>> WirePort::open_tls() {
  std::map<ExpiryKind, std::vector<Expiry>> shown;
  net::TlsSettings settings;
  settings.legacy_phones = configuration_.wire.legacy_phones;
  CAPF_LET(const auto identities, shown_identities(files_));
  for (const auto& [name, kind] : identities) {
    std::error_code error;
    if (!settings.identities.empty() && !std::filesystem::exists(files_.key(name), error)) continue;
    CAPF_LET(const Identity identity, open_identity(files_, name, passphrase_));
    const Bytes key = identity.key->public_key();
    // RSA key exchange makes the key an oracle for decryption, so it must have no other use.
    if (settings.legacy_phones && std::find(others_.begin(), others_.end(), key) != others_.end()) {
      return fail(Reason::kInvalidConfiguration,
                  "legacy_phones needs a key that serves nothing else, but " + files_.key(name).string() + " does");
    }
    unclaimed_.push_back(ca::key_digests(key));
    CAPF_LET(net::TlsIdentity tls, tls_identity(identity));
    settings.identities.push_back(std::move(tls));
    if (const auto facts = ca::read_certificate(identity.chain.front())) {
      shown[kind] = {Expiry{.kind = kind, .name = {}, .role = {}, .not_after = facts->not_after}};
    }
  }
  const Status claimed = claim_keys();
  // A standby cannot be written: the primary has the claims of earlier starts.
  if (!claimed && claimed.error().reason != Reason::kDatabaseReadOnly) return fail(claimed.error());
  CAPF_LET(auto tls, net::TlsContext::make(settings));
  for (const auto& [name, kind] : identities) own_.set(kind, shown[kind]);
  return tls;
}

Status WirePort::claim_keys() {
  if (unclaimed_.empty()) return {};
  const Status claimed = database_.write([&](Transaction& tx) -> Status {
    for (const KeyDigests& key : unclaimed_) CAPF_TRY(tx.keys().claim(key, KeyOwner::kSite, 0));
    return {};
  });
  CAPF_TRY(claimed);
  unclaimed_.clear();
  return {};
}

Watcher::Paths WirePort::shown_files() const {
  Watcher::Paths paths{files_.wire_shown()};
  for (const auto& [name, kind] : shown_identities(files_).value_or(Shown{})) {
    paths.push_back(files_.key(name));
    paths.push_back(files_.certificate(name));
  }
  return paths;
}

void WirePort::tick() {
  const wire::ListenerCounts counts = listener_->counts();
  metrics_.set_wire({counts.connections, counts.strangers, counts.handshakes, counts.accepted, counts.over_limit,
                     counts.handshake_failures, counts.sessions, counts.legacy_sessions});
  const Status claimed = claim_keys();
  if (!claimed) log_debug("wire.key_unclaimed", {{"reason", claimed.error().reason}});
  if (!watcher_.changed()) return;
  auto tls = open_tls();
  if (!tls && tls.error().reason == Reason::kDatabaseUnavailable) {
    watcher_.forget();
    return log_debug("wire.certificate_waits", {{"reason", tls.error().reason}});
  }
  if (!tls) return log_error("wire.certificate_kept", tls.error());
  listener_->replace(*std::move(tls));
  log_info("wire.certificate_replaced");
}

}  // namespace capf::daemon
