#include "capf/daemon/server.h"

#include <algorithm>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <botan/system_rng.h>
#include <unistd.h>

#include "capf/base/log.h"
#include "capf/base/version.h"
#include "capf/ca/certificate.h"
#include "capf/ca/issuers.h"
#include "capf/daemon/complaint.h"
#include "capf/daemon/host.h"
#include "capf/daemon/issuers.h"
#include "capf/daemon/jobs.h"
#include "capf/daemon/marks.h"
#include "capf/daemon/publishing.h"
#include "capf/daemon/renewal.h"
#include "capf/daemon/sealing.h"
#include "capf/daemon/upkeep.h"
#include "capf/daemon/watcher.h"
#include "capf/daemon/weak_keys.h"
#include "capf/daemon/wire.h"
#include "capf/daemon/wire_certificates.h"
#include "capf/rpc/readiness.h"
#include "capf/rpc/server.h"
#include "capf/service/addresses.h"
#include "capf/service/administrators.h"
#include "capf/service/authenticator.h"
#include "capf/service/certificates.h"
#include "capf/service/checker.h"
#include "capf/service/commonprimes.h"
#include "capf/service/dossiers.h"
#include "capf/service/enrolment.h"
#include "capf/service/expiry.h"
#include "capf/service/highwater.h"
#include "capf/service/issuers.h"
#include "capf/service/lease.h"
#include "capf/service/maintenance.h"
#include "capf/service/monitor.h"
#include "capf/service/operations.h"
#include "capf/service/phones.h"
#include "capf/service/records.h"
#include "capf/service/recovery.h"
#include "capf/service/sealer.h"
#include "capf/service/siteclock.h"
#include "capf/service/trust.h"
#include "capf/web/publication.h"
#include "capf/web/server.h"
#include "capf/web/status.h"
#include "capf/wire/clerk.h"

namespace capf::daemon {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kReadingPeriod{15};
constexpr std::chrono::seconds kRefreshPeriod{5};
constexpr std::chrono::hours kRenewalPause{1};
constexpr milliseconds kRecordPatience{1000};       // for refusals that were answered
constexpr std::chrono::minutes kCheckingPeriod{5};  // whether it is due
constexpr int kStatusThreads = 2;
constexpr int kCallsOfOnePhone = 8;

/// A name for leases that no other server has: of this process, and of no later one with its number.
std::string holder_name() {
  Bytes suffix(4);
  Botan::system_rng().randomize(suffix.data(), suffix.size());
  return full_host_name() + ":" + std::to_string(::getpid()) + ":" + to_hex(suffix);
}

/// Leaves an eighth of the places for other addresses.
rpc::Capacity shared_by_addresses(int running, int waiting) {
  const int all = running + waiting;
  return {running, waiting, std::max(1, all - (all + 7) / 8)};
}

/// The use cases that calls reach; later members use earlier ones.
class Composition final : public Server {
 public:
  Composition(const Surroundings& around, Secrets secrets)
      : configuration_(around.configuration),
        metrics_(around.metrics),
        clock_(around.clock, built_at()),
        files_(around.files),
        passphrase_(around.passphrase),
        secrets_(std::move(secrets)),
        weak_keys_(configuration_.weak_keys),
        dossiers_(around.database, configuration_.policy, clock_, high_water_, weak_keys_.list()),
        authenticator_(around.database.rounds(), secrets_.strings, configuration_.policy,
                       [this](Reason reason) { metrics_.count_refusal(reason); }),
        phones_(around.reserved, configuration_.policy),
        addresses_(around.reserved, configuration_.policy),
        operations_(around.reserved, secrets_.strings, configuration_.policy, Botan::system_rng()),
        certificates_(around.reserved),
        trust_(around.reserved, weak_keys_.list()),
        issuer_files_(around.files, around.passphrase, around.tokens, configuration_.token.module),
        issuer_service_(around.reserved, clock_, issuers_, issuer_files_, holder_, status_url(configuration_),
                        configuration_.policy.lsc_subject, weak_keys_.list(), Botan::system_rng()),
        administrators_(around.reserved, *secrets_.site_ca.key, secrets_.site_ca.chain.front(), clock_, high_water_,
                        weak_keys_.list(), Botan::system_rng()),
        records_(around.database),
        admin_records_(around.reserved),
        monitor_(around.reserved, clock_, issuers_, high_water_, record_, crl_state_, own_certificates_,
                 {files_.keys(), files_.crls()}),
        readiness_(monitor_),
        gauges_(around.read_pool, readiness_, monitor_, own_certificates_, clock_, metrics_),
        maintenance_(around.reserved, configuration_.policy, clock_, holder_),
        checker_(around.reserved, holder_),
        common_primes_(around.reserved, certificates_, holder_),
        upkeep_({maintenance_, checker_, common_primes_, issuer_service_, high_water_, clock_, metrics_},
                configuration_.check_period),
        marks_(around.files.marks()),
        journal_file_(around.files.journal()),
        journal_(around.reserved, journal_file_, high_water_),
        sealer_(around.reserved, around.audit_key, marks_, high_water_, record_, clock_, holder_, Botan::system_rng()),
        sealing_(around.reserved, journal_, sealer_, high_water_, clock_, metrics_, around.adopted),
        database_(around.database),
        reserved_(around.reserved) {}
  ~Composition() override { stop(milliseconds{0}); }

  Status listen() {
    CAPF_TRY(weak_keys_.open());
    CAPF_TRY(issuer_service_.start());
    CAPF_LET(publishing_, Publishing::open({database_, reserved_, issuers_, high_water_, clock_, crl_state_,
                                            own_certificates_, metrics_},
                                           configuration_, files_, holder_));
    recovery_.emplace(reserved_, publishing_->crls(), marks_, high_water_, clock_, sealer_, journal_);
    upkeep_.hold_against_issuer();
    enrolment_.emplace(database_.rounds(), dossiers_, authenticator_, issuers_, configuration_.policy, metrics_,
                       Botan::system_rng());
    watcher_.changed();
    take_note_of_own();
    // Check whether the database is behind before any caller comes.
    CAPF_LET(recovery_word_, make_recovery_word(files_.recovery_word(), Botan::system_rng()));
    CAPF_TRY(journal_.open());
    sealing_.check();
    const auto use_cases_with = [this](service::Records& records) {
      return rpc::UseCases{.enrolment = *enrolment_,
                           .phones = phones_,
                           .addresses = addresses_,
                           .operations = operations_,
                           .certificates = certificates_,
                           .checker = checker_,
                           .trust = trust_,
                           .issuers = issuer_service_,
                           .administrators = administrators_,
                           .attempts = authenticator_.attempts(),
                           .records = records,
                           .recovery = *recovery_,
                           .monitor = monitor_,
                           .readiness = readiness_,
                           .metrics = metrics_,
                           .clock = clock_,
                           .wire_certificates = [this] { return trusted_wire(files_); },
                           .recovery_word = recovery_word_};
    };
    if (configuration_.wire_listener.enabled) {
      std::vector<Bytes> others{secrets_.site_ca.key->public_key(), secrets_.server.key->public_key()};
      for (const auto& issuer : issuers_.all()) others.push_back(issuer->key().public_key());
      CAPF_LET(wire_port_,
               WirePort::start(configuration_, files_, passphrase_, others, database_, metrics_, own_certificates_,
                               wire::open_clerks(*enrolment_, authenticator_.attempts(), &metrics_)));
      endpoints_.wire = dial_address(wire_port_->addresses());
    }
    if (configuration_.phone.enabled) {
      CAPF_LET(const auto settings, listen_settings(configuration_.phone, configuration_.phone_port()));
      const Limits& limits = configuration_.limits;
      const rpc::CallLimits call_limits{
          {limits.calls_in_flight, limits.calls_waiting, kCallsOfOnePhone},
          shared_by_addresses(limits.unauthenticated_calls_in_flight, limits.unauthenticated_calls_waiting)};
      net::ConnectionLimits connections = rpc::kPhoneConnectionLimits;
      connections.all = static_cast<std::size_t>(limits.connections);
      connections.strangers = static_cast<std::size_t>(limits.unauthenticated_connections);
      connections.strangers_of_one = static_cast<std::size_t>(limits.unauthenticated_connections_per_address);
      CAPF_LET(phone_server_, rpc::Server::start_phone(use_cases_with(records_), settings, call_limits, connections));
      endpoints_.phone = dial_address(phone_server_->addresses());
    }
    if (configuration_.admin.enabled) {
      CAPF_LET(const auto settings, admin_settings(configuration_.admin_port()));
      CAPF_LET(admin_server_, rpc::Server::start_admin(use_cases_with(admin_records_), settings));
      endpoints_.admin = dial_address(admin_server_->addresses());
    }
    if (configuration_.status_listener.enabled) CAPF_TRY(listen_for_relying_parties());
    if (configuration_.metrics.enabled) {
      web::ServerSettings settings;
      settings.addresses = with_port(configuration_.metrics.addresses, configuration_.metrics_port());
      CAPF_LET(web_server_,
               web::Server::start(settings, web::status_route(metrics_, [this] { return readiness_.check(); })));
      endpoints_.metrics = dial_address(web_server_->addresses());
    }
    start_jobs();
    return {};
  }

  const Endpoints& endpoints() const override { return endpoints_; }

  void stop(milliseconds patience) override {
    readiness_.drain();
    const auto deadline = steady_clock::now() + patience;
    std::thread wire([&] {
      if (wire_port_) wire_port_->stop(patience);
    });
    for (auto* server : {phone_server_.get(), admin_server_.get()}) {
      if (server == nullptr) continue;
      const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now());
      server->stop(std::max(left, milliseconds{0}));
    }
    wire.join();
    authenticator_.attempts().drain(kRecordPatience);
    jobs_.stop();
    if (status_server_) status_server_->stop();
    if (publishing_) publishing_->responder().stop();  // before the server, which its answers need
    if (web_server_) web_server_->stop();
  }

 private:
  /// Stopped in reverse: this server first leaves the list of servers, and its numbers are read until the end.
  void start_jobs() {
    using service::kLeaseRenewal;
    jobs_.start({"numbers", every(kReadingPeriod, [this] { read(); })});
    jobs_.start(
        {"maintenance", every(kLeaseRenewal, [this] { upkeep_.maintain(); }), {}, [this] { maintenance_.leave(); }});
    jobs_.start({"common primes", every(kCheckingPeriod, [this] { upkeep_.compare_keys(); }),
                 [this] { common_primes_.stop(); }});
    jobs_.start({"check", every(kCheckingPeriod, [this] { upkeep_.check(); })});
    jobs_.start({"seals", every(kLeaseRenewal, [this] { sealing_.run(); }), {}, [this] { sealer_.leave(); }});
    jobs_.start({"publishing", [this] { return publishing_->run(); }, {}, [this] { publishing_->leave(); }});
    jobs_.start({"issuers", every(kRefreshPeriod, [this] { upkeep_.refresh_issuers(); }), {}, [this] {
                   issuer_service_.leave();
                 }});
  }

  Result<rpc::ListenSettings> listen_settings(const Listener& listener, int port) {
    rpc::ListenSettings settings;
    settings.addresses = with_port(listener.addresses, port);
    settings.proxies = configuration_.trusted_proxies;
    settings.certificate_pem = chain_pem(secrets_.server.chain);
    CAPF_LET(settings.key_pem, secrets_.server.key->private_pem());
    return settings;
  }

  Result<rpc::ListenSettings> admin_settings(int port) {
    CAPF_LET(auto settings, listen_settings(configuration_.admin, port));
    settings.client_authorities_pem = chain_pem(secrets_.site_ca.chain);
    return settings;
  }

  /// The wire port and the responder tell of theirs themselves.
  void take_note_of_own() {
    const BytesView site_ca = secrets_.site_ca.chain.front();
    const BytesView server = secrets_.server.chain.front();
    const std::pair<ExpiryKind, BytesView> certificates[]{{ExpiryKind::kSiteCa, site_ca},
                                                          {ExpiryKind::kServer, server}};
    for (const auto& [kind, der] : certificates) {
      const auto facts = ca::read_certificate(der);
      if (!facts) continue;
      Expiry expiry{.kind = kind, .name = {}, .role = {}, .not_after = facts->not_after};
      if (kind == ExpiryKind::kServer) expiry.renews_at = renews_at(server, site_ca);
      own_certificates_.set(kind, {expiry});
    }
  }

  /// Renews the certificate of the gRPC ports in its last third, and shows there what the files have.
  void keep_certificates() {
    show_certificates();
    const auto now = steady_clock::now();
    const auto due = renews_at(secrets_.server.chain.front(), secrets_.site_ca.chain.front());
    if (!due || clock_.now() < *due || now < next_renewal_) return;
    const auto lock = FolderLock::take(files_.keys());
    if (!lock) return;  // a command that works with the keys, or this server's own start, is soon done
    next_renewal_ = now + kRenewalPause;
    renewal_complaint_.report(renew_server_here());
    show_certificates();
  }

  void show_certificates() {
    if (!watcher_.changed()) return;
    if (const Status taken = take_certificates(); !taken) return log_error("server.certificate_kept", taken.error());
    log_info("server.certificate_replaced");
  }

  Status renew_server_here() {
    // A database that has forgotten something gets no event that it may lose.
    CAPF_TRY(high_water_.check());
    const Renewal renewal{files_, reserved_, clock_, {ActorKind::kSystem, "capfd", ""}, Botan::system_rng()};
    CAPF_TRY(renew_server(renewal, secrets_.site_ca, *secrets_.server.key, public_host(configuration_)));
    return {};
  }

  /// From now on connections see the certificates of the files; those that are open stay as they are.
  Status take_certificates() {
    const auto belongs = [](const std::vector<Bytes>& chain, const ca::SigningKey& key) {
      const auto facts = ca::read_certificate(chain.front());
      return facts && facts->key.sha256 == sha256(key.public_key());
    };
    CAPF_LET(auto site_ca, read_chain(files_, "site-ca"));
    if (!belongs(site_ca, *secrets_.site_ca.key)) {
      return fail(Reason::kInvalidConfiguration, "the site CA has another key: start the server again");
    }
    CAPF_LET(auto server, read_chain(files_, "server"));
    // A renewal keeps the key, whose file may have another passphrase by now.
    if (belongs(server, *secrets_.server.key)) {
      secrets_.server.chain = std::move(server);
    } else {
      CAPF_LET(secrets_.server, open_identity(files_, "server", passphrase_));
    }
    secrets_.site_ca.chain = std::move(site_ca);
    administrators_.set_site_certificate(secrets_.site_ca.chain.front());
    take_note_of_own();
    if (phone_server_) {
      CAPF_LET(const auto settings, listen_settings(configuration_.phone, 0));
      CAPF_TRY(phone_server_->replace_certificate(settings));
    }
    if (admin_server_) {
      CAPF_LET(const auto settings, admin_settings(0));
      CAPF_TRY(admin_server_->replace_certificate(settings));
    }
    return {};
  }

  /// Numbers for monitoring, and files that may have changed.
  void read() {
    gauges_.read();
    if (wire_port_) wire_port_->tick();
    weak_keys_.tick();
    keep_certificates();
  }

  Status listen_for_relying_parties() {
    web::ServerSettings settings;
    settings.addresses = with_port(configuration_.status_listener.addresses, configuration_.status_port());
    settings.loopback_only = false;
    settings.threads = kStatusThreads;
    settings.largest_body = ca::kLargestOcspRequest;
    settings.connections = configuration_.status.connections;
    settings.connections_per_address = configuration_.status.connections_per_address;
    const auto certificate = [this](std::int64_t id) -> std::optional<Bytes> {
      const auto issuer = issuers_.find(id);
      if (!issuer) return std::nullopt;
      return issuer->record().der;
    };
    const web::Publication publication{publishing_->crls(),
                                       certificate,
                                       publishing_->responder(),
                                       configuration_.status.crl_interval,
                                       metrics_,
                                       [this] { return readiness_.recent().has_value(); }};
    CAPF_LET(status_server_, web::Server::start_later(settings, web::publication_route(publication)));
    endpoints_.status = dial_address(status_server_->addresses());
    return {};
  }

  const Configuration& configuration_;
  Metrics& metrics_;
  service::SiteClock clock_;
  const SiteFiles& files_;
  const Secret& passphrase_;
  const std::string holder_ = holder_name();
  Secrets secrets_;
  ca::Issuers issuers_;
  service::HighWater high_water_;
  service::RecordState record_;
  service::CrlState crl_state_;
  service::OwnCertificates own_certificates_;
  WeakKeyFiles weak_keys_;
  service::Dossiers dossiers_;
  service::Authenticator authenticator_;
  service::Phones phones_;
  service::Addresses addresses_;
  service::Operations operations_;
  service::Certificates certificates_;
  service::Trust trust_;
  IssuerFiles issuer_files_;
  service::Issuers issuer_service_;
  service::Administrators administrators_;
  service::Records records_;
  service::Records admin_records_;
  service::Monitor monitor_;
  rpc::Readiness readiness_;
  Gauges gauges_;
  service::Maintenance maintenance_;
  service::Checker checker_;
  service::CommonPrimes common_primes_;
  Upkeep upkeep_;
  MarksFile marks_;
  JournalFile journal_file_;
  service::Journal journal_;
  Secret recovery_word_;
  service::Sealer sealer_;
  Sealing sealing_;
  Database& database_;
  Database& reserved_;
  std::optional<service::Enrolment> enrolment_;
  std::unique_ptr<WirePort> wire_port_;
  std::unique_ptr<rpc::Server> phone_server_;
  std::unique_ptr<rpc::Server> admin_server_;
  std::unique_ptr<Publishing> publishing_;
  std::optional<service::Recovery> recovery_;
  Watcher watcher_{{files_.certificate("site-ca"), files_.certificate("server"), files_.key("server")}};
  steady_clock::time_point next_renewal_{};
  Complaint renewal_complaint_{"server.certificate_not_renewed"};
  std::unique_ptr<web::Server> status_server_;
  std::unique_ptr<web::Server> web_server_;
  Jobs jobs_;
  Endpoints endpoints_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::start(const Surroundings& surroundings, Secrets secrets) {
  auto server = std::make_unique<Composition>(surroundings, std::move(secrets));
  CAPF_TRY(server->listen());
  return server;
}

}  // namespace capf::daemon
