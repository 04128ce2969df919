#include "storage/database.h"

#include "storage/administrators.h"
#include "storage/anchors.h"
#include "storage/audit.h"
#include "storage/blocks.h"
#include "storage/calls.h"
#include "storage/campaigns.h"
#include "storage/certificates.h"
#include "storage/changes.h"
#include "storage/checks.h"
#include "storage/configurations.h"
#include "storage/crls.h"
#include "storage/digest.h"
#include "storage/issuers.h"
#include "storage/keys.h"
#include "storage/leases.h"
#include "storage/lines.h"
#include "storage/operations.h"
#include "storage/phone_fetches.h"
#include "storage/phones.h"
#include "storage/profiles.h"
#include "storage/seals.h"
#include "storage/secrets_keys.h"
#include "storage/security_changes.h"
#include "storage/servers.h"
#include "storage/strings.h"
#include "storage/summary.h"
#include "storage/trust_lists.h"
#include "storage/trusted_certificates.h"
#include "storage/withdrawals.h"

namespace capf::storage {
namespace {

constexpr std::chrono::milliseconds kGrace{2000};  ///< for an answer after the server's own limit

class Unit final : public Transaction {
 public:
  explicit Unit(Session& session)
      : session_(session),
        now_(session.now()),
        postmaster_start_(session.postmaster_start()),
        standby_(session.standby()),
        phones_(session),
        operations_(session),
        certificates_(session),
        keys_(session),
        blocks_(session),
        calls_(session),
        trusted_certificates_(session),
        trust_lists_(session),
        strings_(session),
        issuers_(session),
        servers_(session),
        anchors_(session),
        administrators_(session),
        audit_(session),
        seals_(session),
        withdrawals_(session),
        security_changes_(session),
        checks_(session),
        summary_(session),
        leases_(session),
        lines_(session),
        crls_(session),
        profiles_(session),
        secrets_keys_(session),
        digest_(session),
        phone_fetches_(session),
        configurations_(session),
        campaigns_(session) {}

  TimePoint now() const override { return now_; }
  TimePoint postmaster_start() const override { return postmaster_start_; }
  bool standby() const override { return standby_; }
  PhoneStore& phones() override { return phones_; }
  OperationStore& operations() override { return operations_; }
  CertificateStore& certificates() override { return certificates_; }
  KeyStore& keys() override { return keys_; }
  BlockStore& blocks() override { return blocks_; }
  CallStore& calls() override { return calls_; }
  TrustedCertificateStore& trusted_certificates() override { return trusted_certificates_; }
  TrustListStore& trust_lists() override { return trust_lists_; }
  StringStore& strings() override { return strings_; }
  IssuerStore& issuers() override { return issuers_; }
  ServerStore& servers() override { return servers_; }
  AnchorStore& anchors() override { return anchors_; }
  AdministratorStore& administrators() override { return administrators_; }
  AuditStore& audit() override { return audit_; }
  SealStore& seals() override { return seals_; }
  WithdrawalStore& withdrawals() override { return withdrawals_; }
  SecurityChangeStore& security_changes() override { return security_changes_; }
  CheckStore& checks() override { return checks_; }
  SummaryStore& summary() override { return summary_; }
  LeaseStore& leases() override { return leases_; }
  LineStore& lines() override { return lines_; }
  CrlStore& crls() override { return crls_; }
  ProfileStore& profiles() override { return profiles_; }
  SecretsKeyStore& secrets_keys() override { return secrets_keys_; }
  DigestStore& digest() override { return digest_; }
  PhoneFetchStore& phone_fetches() override { return phone_fetches_; }
  ConfigurationStore& configurations() override { return configurations_; }
  CampaignStore& campaigns() override { return campaigns_; }
  Result<Written> write(std::int64_t phone_id, std::span<const Write> writes) override {
    return storage::write(session_, phone_id, writes);
  }
  Result<std::vector<Written>> write(std::span<const PhoneWrites> phones) override {
    return storage::write(session_, phones);
  }

 private:
  Session& session_;
  TimePoint now_;
  TimePoint postmaster_start_;
  bool standby_;
  Phones phones_;
  Operations operations_;
  Certificates certificates_;
  Keys keys_;
  Blocks blocks_;
  Calls calls_;
  TrustedCertificates trusted_certificates_;
  TrustLists trust_lists_;
  Strings strings_;
  Issuers issuers_;
  Servers servers_;
  Anchors anchors_;
  Administrators administrators_;
  Audit audit_;
  Seals seals_;
  Withdrawals withdrawals_;
  SecurityChanges security_changes_;
  Checks checks_;
  Overview summary_;
  Leases leases_;
  Lines lines_;
  Crls crls_;
  Profiles profiles_;
  SecretsKeys secrets_keys_;
  DigestUsers digest_;
  PhoneFetches phone_fetches_;
  Configurations configurations_;
  Campaigns campaigns_;
};

Status work_through(Session& session, Access access, const std::function<Status(Transaction&)>& work) {
  CAPF_TRY(session.begin(access));
  Unit unit(session);
  CAPF_TRY(work(unit));
  // Work that continued after a failed statement must not look as if it were stored.
  if (session.fault()) return fail(session.fault()->error);
  const Status committed = session.commit();
  // The reading is done, even if the connection breaks now.
  if (access == Access::kRead) return {};
  return committed;
}

}  // namespace

Result<std::unique_ptr<PostgresDatabase>> PostgresDatabase::open(const DatabaseSettings& settings) {
  CAPF_LET(auto link, link_settings(settings.conninfo, settings.limits));
  SessionLimits limits = settings.limits;
  limits.lock = std::min(limits.lock, kRoundsLockWait);
  limits.keeps_plans = true;
  CAPF_LET(auto link_of_rounds, link_settings(settings.conninfo, limits));
  return std::unique_ptr<PostgresDatabase>(new PostgresDatabase(std::move(link), std::move(link_of_rounds), settings));
}

PostgresDatabase::PostgresDatabase(LinkSettings link, LinkSettings link_of_rounds, const DatabaseSettings& settings)
    : runner_(std::move(link), {settings.connections, settings.limits.statement + kGrace, settings.life},
              settings.wait),
      rounds_(std::move(link_of_rounds), settings.rounds, settings.limits.statement + kGrace, settings.life,
              settings.limits.lock, settings.wait) {}

Status PostgresDatabase::write(const std::function<Status(Transaction&)>& work) {
  return runner_.run([&](Session& session) { return work_through(session, Access::kWrite, work); });
}

Status PostgresDatabase::read(const std::function<Status(Transaction&)>& work) {
  return runner_.run([&](Session& session) { return work_through(session, Access::kRead, work); });
}

Status PostgresDatabase::look(const std::function<Status(Transaction&)>& work) {
  return runner_.run([&](Session& session) -> Status {
    CAPF_TRY(session.single(Access::kRead));
    Unit unit(session);
    return work(unit);
  });
}

Result<std::vector<std::string>> PostgresDatabase::not_durable() {
  static const Statement kNotDurable{"database_not_durable",
                                     "select name from pg_settings where name in ('fsync', 'full_page_writes') and "
                                     "setting = 'off' order by name"};
  std::vector<std::string> names;
  const RunResult outcome = runner_.run_once([&](Session& session) -> Status {
    CAPF_TRY(session.begin(Access::kRead));
    CAPF_LET(names, session.all(kNotDurable, Parameters(), read_text));
    return {};
  });
  if (!outcome.status) return fail(outcome.status.error());
  return names;
}

Status PostgresDatabase::ping() {
  constexpr std::chrono::seconds kPatience{1};
  return runner_.run([](Session& session) { return session.begin(Access::kRead); }, kPatience);
}

}  // namespace capf::storage
