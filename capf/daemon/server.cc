#include "capf/daemon/server.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <botan/system_rng.h>
#include <unistd.h>

#include "capf/base/version.h"
#include "capf/ca/asn1.h"
#include "capf/ca/issuers.h"
#include "capf/daemon/calls.h"
#include "capf/daemon/files.h"
#include "capf/daemon/host.h"
#include "capf/daemon/issuers.h"
#include "capf/daemon/jobs.h"
#include "capf/daemon/key_purposes.h"
#include "capf/daemon/listeners.h"
#include "capf/daemon/marks.h"
#include "capf/daemon/phone_key_files.h"
#include "capf/daemon/port_certificates.h"
#include "capf/daemon/publishing.h"
#include "capf/daemon/sealing.h"
#include "capf/daemon/source_folder.h"
#include "capf/daemon/tvs.h"
#include "capf/daemon/upkeep.h"
#include "capf/daemon/weak_keys.h"
#include "capf/daemon/wire.h"
#include "capf/rpc/readiness.h"
#include "capf/rpc/server.h"
#include "capf/service/addresses.h"
#include "capf/service/administrators.h"
#include "capf/service/authenticator.h"
#include "capf/service/calls.h"
#include "capf/service/campaign_rounds.h"
#include "capf/service/campaigns.h"
#include "capf/service/certificates.h"
#include "capf/service/checker.h"
#include "capf/service/commonprimes.h"
#include "capf/service/configurations.h"
#include "capf/service/digest_users.h"
#include "capf/service/dossiers.h"
#include "capf/service/enrolment.h"
#include "capf/service/expiry.h"
#include "capf/service/highwater.h"
#include "capf/service/issuers.h"
#include "capf/service/lease.h"
#include "capf/service/maintenance.h"
#include "capf/service/monitor.h"
#include "capf/service/moving.h"
#include "capf/service/operations.h"
#include "capf/service/phones.h"
#include "capf/service/profiles.h"
#include "capf/service/records.h"
#include "capf/service/recovery.h"
#include "capf/service/sealer.h"
#include "capf/service/shared_lines.h"
#include "capf/service/siteclock.h"
#include "capf/service/trust.h"
#include "capf/service/trust_lists.h"
#include "capf/service/trusted_certificates.h"
#include "capf/web/publication.h"
#include "capf/web/status.h"
#include "capf/wire/clerk.h"

namespace capf::daemon {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kReadingPeriod{15};
constexpr std::chrono::seconds kRefreshPeriod{5};
constexpr std::chrono::minutes kCheckingPeriod{5};  // whether it is due
constexpr std::chrono::seconds kNotingPeriod{5};
constexpr std::chrono::minutes kCountingPeriod{1};
constexpr milliseconds kRecordPatience{1000};  // for refusals that were answered

/// A name for leases that no other server has: of this process, and of no later one with its number.
std::string holder_name() {
  Bytes suffix(4);
  Botan::system_rng().randomize(suffix.data(), suffix.size());
  return full_host_name() + ":" + std::to_string(::getpid()) + ":" + to_hex(suffix);
}

/// Makes every part of a server and connects them; later members use earlier ones.
class Composition final : public Server {
 public:
  Composition(const Surroundings& around, Secrets secrets)
      : around_(around),
        clock_(around.clock, built_at()),
        strings_(std::move(secrets.strings)),
        port_certificates_(
            around.configuration, {around.files, around.reserved, clock_, {ActorKind::kSystem, "capfd", ""}, random_},
            around.passphrase, high_water_, own_certificates_, std::move(secrets.site_ca), std::move(secrets.server)),
        weak_keys_(around.configuration.weak_keys),
        dossiers_(around.database, around.configuration.policy, clock_, high_water_, weak_keys_.list()),
        authenticator_(around.database.rounds(), strings_, around.configuration.policy,
                       [this](Reason reason) { around_.metrics.count_refusal(reason); }),
        enrolment_(around.database.rounds(), dossiers_, authenticator_, issuers_, around.configuration.policy,
                   around.metrics, random_),
        phones_(around.reserved, around.configuration.policy),
        profiles_(around.reserved, around.configuration.policy, operations_),
        lines_(around.reserved),
        line_survey_(lines_),
        addresses_(around.reserved, around.configuration.policy),
        digest_users_(around.reserved, around.vault, around.configuration.policy, random_),
        calls_(around.database, high_water_, around.metrics),
        operations_(around.reserved, strings_, around.configuration.policy, random_),
        moving_(around.reserved, around.configuration.policy, operations_),
        certificates_(around.reserved),
        trust_(around.reserved, weak_keys_.list()),
        trusted_certificates_(around.reserved),
        vouched_(around.database),
        issuer_files_(around.files, around.passphrase, around.tokens, around.configuration.token.module),
        phone_keys_(around.files, around.passphrase, around.tokens, around.reserved, own_certificates_),
        trust_lists_(around.reserved, phone_keys_, around.configuration.policy, high_water_, random_, clock_),
        fetched_lists_(around.database, phone_keys_, around.configuration.policy, high_water_, random_, clock_),
        configurations_(around.database, around.vault, phone_keys_, around.configuration.policy, high_water_, random_,
                        clock_, phone_servers(around.configuration)),
        admin_configurations_(around.reserved, around.vault, phone_keys_, around.configuration.policy, high_water_,
                              random_, clock_, phone_servers(around.configuration)),
        exported_configurations_(around.reserved, around.vault, phone_keys_, around.configuration.policy, high_water_,
                                 random_, clock_, phone_servers(around.configuration), {.files = 1},
                                 service::SecretsInClear::kNever),
        source_folder_(around.configuration.files.source, around.reserved, admin_configurations_, holder_),
        issuer_service_(around.reserved, clock_, issuers_, issuer_files_, holder_, status_url(around.configuration),
                        around.configuration.policy.lsc_subject, weak_keys_.list(), around.vault, random_,
                        site_settings(around.configuration.policy)),
        administrators_(around.reserved, *port_certificates_.site_ca().key, port_certificates_.site_ca().chain.front(),
                        clock_, high_water_, weak_keys_.list(), random_),
        records_(around.database),
        admin_records_(around.reserved),
        monitor_(around.reserved, clock_, issuers_, high_water_, record_, crl_state_, own_certificates_,
                 {around.files.keys(), around.files.crls()}),
        readiness_(monitor_),
        gauges_(around.read_pool, readiness_, monitor_, line_survey_, own_certificates_, clock_, around.metrics),
        maintenance_(around.reserved, around.configuration.policy, clock_, holder_),
        campaigns_(around.reserved, random_),
        campaign_rounds_(around.reserved, operations_, around.configuration.policy, clock_, holder_),
        checker_(around.reserved, holder_),
        common_primes_(around.reserved, certificates_, holder_),
        upkeep_({maintenance_, campaign_rounds_, checker_, common_primes_, issuer_service_, trust_lists_, high_water_,
                 clock_, around.metrics},
                around.configuration.check_period),
        marks_(around.files.marks()),
        journal_file_(around.files.journal()),
        journal_(around.reserved, journal_file_, high_water_),
        sealer_(around.reserved, around.audit_key, marks_, high_water_, record_, clock_, holder_, random_),
        sealing_(around.reserved, journal_, sealer_, high_water_, clock_, around.metrics, around.adopted),
        call_services_{calls_, administrators_, records_, authenticator_.attempts(), around.metrics},
        call_desk_(call_status(call_services_)),
        file_service_({around.configuration, around.reserved, around.metrics, clock_, random_},
                      [this] { return phone_keys_.file_signer(); }, {&fetched_lists_, &configurations_},
                      {&trust_lists_, &exported_configurations_}),
        listeners_(around.configuration, port_certificates_) {}
  ~Composition() override { stop(milliseconds{0}); }

  Status open() {
    CAPF_TRY(weak_keys_.open());
    CAPF_TRY(digest_users_.adopt_realm());
    CAPF_TRY(issuer_service_.start());
    CAPF_TRY(phone_keys_.open());
    CAPF_LET(publishing_, Publishing::open({around_.database, around_.reserved, issuers_, high_water_, clock_,
                                            crl_state_, own_certificates_, around_.metrics},
                                           around_.configuration, around_.files, holder_));
    recovery_.emplace(around_.reserved, publishing_->crls(), marks_, high_water_, clock_, sealer_, journal_);
    upkeep_.hold_against_issuer();
    CAPF_LET(recovery_word_, make_recovery_word(around_.files.recovery_word(), random_));
    // Whether the database is behind is known before any caller comes.
    CAPF_TRY(journal_.open());
    CAPF_TRY(sealer_.open());
    sealing_.check();
    CAPF_TRY(open_ports());
    start_jobs();
    return {};
  }

  const Endpoints& endpoints() const override { return listeners_.endpoints(); }

  void stop(milliseconds patience) override {
    readiness_.drain();
    listeners_.stop_calls(patience);
    call_desk_.stop();  // while its answers still have their server
    listeners_.stop_calls_port();
    file_service_.desk().stop();
    listeners_.stop_files();
    authenticator_.attempts().drain(kRecordPatience);
    jobs_.stop();
    listeners_.stop_status();
    if (publishing_) publishing_->responder().stop();  // while its answers still have the status server
    listeners_.stop_metrics();
  }

 private:
  Status open_ports() {
    if (around_.configuration.wire_listener.enabled) CAPF_TRY(open_wire());
    if (around_.configuration.tvs_listener.enabled) CAPF_TRY(open_tvs());
    CAPF_TRY(open_files());
    CAPF_TRY(listeners_.open_phone(use_cases(records_)));
    CAPF_TRY(listeners_.open_admin(use_cases(admin_records_)));
    CAPF_TRY(listeners_.open_status(publication()));
    CAPF_TRY(listeners_.open_calls(call_desk_.route(), [this](const Address& peer, Reason reason) {
      note_refused(call_services_, peer, reason);
    }));
    return listeners_.open_metrics(web::status_route(around_.metrics, [this] { return readiness_.check(); }));
  }

  /// The public keys of this site that no port of phones may have.
  std::vector<Bytes> keys_of_others() const {
    std::vector<Bytes> others{port_certificates_.site_ca().key->public_key(),
                              port_certificates_.server().key->public_key()};
    for (const auto& issuer : issuers_.all()) others.push_back(issuer->key().public_key());
    return others;
  }

  Status open_tvs() {
    std::vector<Bytes> others = keys_of_others();
    for (const rpc::WireCertificate& wire : trusted_wire(around_.files)) {
      const auto outline = ca::read_outline(wire.der);
      if (outline) others.emplace_back(outline->public_key.begin(), outline->public_key.end());
    }
    CAPF_LET(auto port, TvsPort::start(around_.configuration, around_.files, around_.passphrase, std::move(others),
                                       around_.database, {vouched_, phone_keys_, high_water_, clock_}, clock_,
                                       around_.metrics, own_certificates_));
    listeners_.add_tvs(std::move(port));
    return {};
  }

  Status open_files() {
    using Channel = web::FileDesk::Channel;
    CAPF_TRY(listeners_.open_files(file_service_.desk().route(Channel::kPlain)));
    if (!around_.configuration.files_tls_listener.enabled) return {};
    CAPF_LET(auto port, FilesTlsPort::start(around_.configuration, around_.files, around_.passphrase,
                                            file_service_.desk().route(Channel::kTls)));
    listeners_.add_files_tls(std::move(port));
    return {};
  }

  Status open_wire() {
    const std::vector<Bytes> others = keys_of_others();
    CAPF_LET(auto port, WirePort::start(around_.configuration, around_.files, around_.passphrase, others,
                                        around_.database, around_.metrics, own_certificates_,
                                        wire::open_clerks(enrolment_, authenticator_.attempts(), &around_.metrics)));
    listeners_.add_wire(std::move(port));
    return {};
  }

  rpc::UseCases use_cases(service::Records& records) {
    return {.enrolment = enrolment_,
            .phones = phones_,
            .profiles = profiles_,
            .lines = lines_,
            .line_survey = line_survey_,
            .addresses = addresses_,
            .digest_users = digest_users_,
            .calls = calls_,
            .operations = operations_,
            .campaigns = campaigns_,
            .certificates = certificates_,
            .checker = checker_,
            .configurations = admin_configurations_,
            .trust = trust_,
            .trusted_certificates = trusted_certificates_,
            .trust_lists = trust_lists_,
            .file_exports = file_service_.exports(),
            .moving = moving_,
            .issuers = issuer_service_,
            .administrators = administrators_,
            .attempts = authenticator_.attempts(),
            .records = records,
            .recovery = *recovery_,
            .monitor = monitor_,
            .readiness = readiness_,
            .metrics = around_.metrics,
            .clock = clock_,
            .wire_certificates = [this] { return trusted_wire(around_.files); },
            .recovery_word = recovery_word_};
  }

  web::Publication publication() {
    const auto certificate = [this](std::int64_t id) -> std::optional<Bytes> {
      const auto issuer = issuers_.find(id);
      if (!issuer) return std::nullopt;
      return issuer->record().der;
    };
    return {.crls = publishing_->crls(),
            .certificate = certificate,
            .responder = publishing_->responder(),
            .crl_max_age = around_.configuration.status.crl_interval,
            .metrics = around_.metrics,
            .ready = [this] { return readiness_.recent().has_value(); }};
  }

  /// Stopped in reverse: this server first leaves the list of servers, and its numbers are read until the end.
  void start_jobs() {
    using service::kLeaseRenewal;
    jobs_.start({"numbers", every(kReadingPeriod, [this] { read(); })});
    jobs_.start(
        {"maintenance", every(kLeaseRenewal, [this] { upkeep_.maintain(); }), {}, [this] { maintenance_.leave(); }});
    if (!around_.configuration.files.source.empty()) {
      jobs_.start({"configurations", [this] { return source_folder_.read(); }});
    }
    jobs_.start({"common primes", every(kCheckingPeriod, [this] { upkeep_.compare_keys(); }),
                 [this] { common_primes_.stop(); }});
    jobs_.start({"check", every(kCheckingPeriod, [this] { upkeep_.check(); })});
    jobs_.start({"seals", every(kLeaseRenewal, [this] { sealing_.run(); }), {}, [this] { sealer_.leave(); }});
    jobs_.start({"publishing", [this] { return publishing_->run(); }, {}, [this] { publishing_->leave(); }});
    const auto note = [this] { file_service_.write_notes(); };
    jobs_.start({"fetches", every(kNotingPeriod, note), {}, note});
    jobs_.start({"lists behind", every(kCountingPeriod, [this] { file_service_.count_behind(); })});
    jobs_.start({"files", every(around_.configuration.files.publish_period, [this] { file_service_.publish(); }),
                 [this] { file_service_.stop_publishing(); }});
    jobs_.start({"issuers", every(kRefreshPeriod, [this] { upkeep_.refresh_issuers(); }), {}, [this] {
                   issuer_service_.leave();
                 }});
  }

  /// Numbers for monitoring, and files that may have changed.
  void read() {
    gauges_.read();
    listeners_.tick();
    weak_keys_.tick();
    around_.secrets_files.tick();
    phone_keys_.tick();
    port_certificates_.keep([this] {
      administrators_.set_site_certificate(port_certificates_.site_ca().chain.front());
      return listeners_.replace_certificates();
    });
  }

  const Surroundings around_;
  Botan::RandomNumberGenerator& random_ = Botan::system_rng();
  const std::string holder_ = holder_name();
  service::SiteClock clock_;
  ca::StringKey strings_;
  ca::Issuers issuers_;
  service::HighWater high_water_;
  service::RecordState record_;
  service::CrlState crl_state_;
  service::OwnCertificates own_certificates_;
  PortCertificates port_certificates_;
  WeakKeyFiles weak_keys_;
  service::Dossiers dossiers_;
  service::Authenticator authenticator_;
  service::Enrolment enrolment_;
  service::Phones phones_;
  service::Profiles profiles_;
  service::SharedLines lines_;
  service::LineSurvey line_survey_;
  service::Addresses addresses_;
  service::DigestUsers digest_users_;
  service::Calls calls_;
  service::Operations operations_;
  service::Moving moving_;
  service::Certificates certificates_;
  service::Trust trust_;
  service::TrustedCertificates trusted_certificates_;
  service::TrustedCertificates vouched_;  ///< for phones
  IssuerFiles issuer_files_;
  PhoneKeyFiles phone_keys_;
  service::TrustLists trust_lists_;
  service::TrustLists fetched_lists_;       ///< for phones
  service::Configurations configurations_;  ///< for phones
  service::Configurations admin_configurations_;
  service::Configurations exported_configurations_;
  SourceFolder source_folder_;
  service::Issuers issuer_service_;
  service::Administrators administrators_;
  service::Records records_;
  service::Records admin_records_;
  service::Monitor monitor_;
  rpc::Readiness readiness_;
  Gauges gauges_;
  service::Maintenance maintenance_;
  service::Campaigns campaigns_;
  service::CampaignRounds campaign_rounds_;
  service::Checker checker_;
  service::CommonPrimes common_primes_;
  Upkeep upkeep_;
  MarksFile marks_;
  JournalFile journal_file_;
  service::Journal journal_;
  Secret recovery_word_;
  service::Sealer sealer_;
  Sealing sealing_;
  std::unique_ptr<Publishing> publishing_;
  std::optional<service::Recovery> recovery_;
  const CallServices call_services_;
  web::CallDesk call_desk_;
  FileService file_service_;
  Listeners listeners_;
  Jobs jobs_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::start(const Surroundings& surroundings, Secrets secrets) {
  auto server = std::make_unique<Composition>(surroundings, std::move(secrets));
  CAPF_TRY(server->open());
  return server;
}

}  // namespace capf::daemon
