#include "storage/database.h"

#include <random>
#include <thread>

#include "capf/base/log.h"
#include "storage/stores.h"

namespace capf::storage {
namespace {

constexpr int kAttempts = 6;
constexpr std::chrono::milliseconds kGrace{2000};  ///< for an answer after the server's own limit

class Unit final : public Transaction {
 public:
  explicit Unit(Session& session)
      : now_(session.now()),
        standby_(session.standby()),
        phones_(session),
        operations_(session),
        certificates_(session),
        keys_(session),
        blocks_(session),
        strings_(session),
        issuers_(session),
        servers_(session),
        anchors_(session),
        administrators_(session),
        audit_(session),
        seals_(session),
        withdrawals_(session),
        checks_(session),
        summary_(session),
        leases_(session),
        crls_(session) {}

  TimePoint now() const override { return now_; }
  bool standby() const override { return standby_; }
  PhoneStore& phones() override { return phones_; }
  OperationStore& operations() override { return operations_; }
  CertificateStore& certificates() override { return certificates_; }
  KeyStore& keys() override { return keys_; }
  BlockStore& blocks() override { return blocks_; }
  StringStore& strings() override { return strings_; }
  IssuerStore& issuers() override { return issuers_; }
  ServerStore& servers() override { return servers_; }
  AnchorStore& anchors() override { return anchors_; }
  AdministratorStore& administrators() override { return administrators_; }
  AuditStore& audit() override { return audit_; }
  SealStore& seals() override { return seals_; }
  WithdrawalStore& withdrawals() override { return withdrawals_; }
  CheckStore& checks() override { return checks_; }
  SummaryStore& summary() override { return summary_; }
  LeaseStore& leases() override { return leases_; }
  CrlStore& crls() override { return crls_; }

 private:
  TimePoint now_;
  bool standby_;
  Phones phones_;
  Operations operations_;
  Certificates certificates_;
  Keys keys_;
  Blocks blocks_;
  Strings strings_;
  Issuers issuers_;
  Servers servers_;
  Anchors anchors_;
  Administrators administrators_;
  Audit audit_;
  Seals seals_;
  Withdrawals withdrawals_;
  Checks checks_;
  Overview summary_;
  Leases leases_;
  Crls crls_;
};

/// A random pause, so that two transactions that collided try again at different moments.
void pause_before_attempt(int attempt) {
  thread_local std::minstd_rand generator{std::random_device{}()};
  std::this_thread::sleep_for(
      std::chrono::milliseconds(std::uniform_int_distribution<int>(1, 4 << attempt)(generator)));
}

Status work_through(Session& session, Access access, const std::function<Status(Transaction&)>& work) {
  CAPF_TRY(session.begin(access));
  Unit unit(session);
  CAPF_TRY(work(unit));
  // Work that continued after a failed statement must not look as if it were stored.
  if (session.fault()) return tl::unexpected<Error>(session.fault()->error);
  const Status committed = session.commit();
  // The reading is done, even if the connection breaks now.
  if (access == Access::kRead) return {};
  return committed;
}

struct Outcome {
  Status status;
  Remedy remedy = Remedy::kGiveUp;
  std::string cause;  ///< of the fault
};

Outcome attempt(Connection& connection, Access access, const std::function<Status(Transaction&)>& work) {
  Session session(connection);
  Outcome outcome;
  outcome.status = work_through(session, access, work);
  if (session.fault()) {
    outcome.remedy = session.fault()->remedy;
    outcome.cause = session.fault()->error.cause;
  }
  return outcome;
}

Status run(Pool& pool, std::chrono::milliseconds wait, bool takes_standby, Access access,
           const std::function<Status(Transaction&)>& work) {
  for (int count = 1;; ++count) {
    CAPF_LET(auto lease, pool.take(wait));
    Outcome outcome = attempt(lease.connection(), access, work);
    if (!outcome.status && outcome.remedy == Remedy::kRenew && lease.pooled()) {
      log_info("database.session_renewed", {{"cause", outcome.cause}});
      CAPF_TRY(lease.renew());
      outcome = attempt(lease.connection(), access, work);
    }
    Remedy remedy = outcome.remedy;
    if (remedy == Remedy::kPrimary) remedy = takes_standby ? Remedy::kGiveUp : Remedy::kReconnect;
    const bool lost = remedy == Remedy::kReconnect || remedy == Remedy::kAsk;
    if (lost || remedy == Remedy::kRenew) lease.discard();
    if (lost) pool.close_idle();
    const bool again = remedy == Remedy::kRepeat || remedy == Remedy::kReconnect;
    if (outcome.status || !again || count == kAttempts) return outcome.status;
    pause_before_attempt(count);
  }
}

}  // namespace

Result<std::unique_ptr<PostgresDatabase>> PostgresDatabase::open(const DatabaseSettings& settings) {
  CAPF_LET(auto link, link_settings(settings.conninfo, settings.limits));
  return std::unique_ptr<PostgresDatabase>(new PostgresDatabase(std::move(link), settings));
}

PostgresDatabase::PostgresDatabase(LinkSettings link, const DatabaseSettings& settings)
    : takes_standby_(storage::takes_standby(link.conninfo)),
      pool_(std::move(link), {settings.connections, settings.limits.statement + kGrace, settings.life}),
      wait_(settings.wait) {}

Status PostgresDatabase::write(const std::function<Status(Transaction&)>& work) {
  return run(pool_, wait_, takes_standby_, Access::kWrite, work);
}

Status PostgresDatabase::read(const std::function<Status(Transaction&)>& work) {
  return run(pool_, wait_, takes_standby_, Access::kRead, work);
}

Result<std::vector<std::string>> PostgresDatabase::not_durable() {
  static const Statement kNotDurable{"database_not_durable",
                                     "select name from pg_settings where name in ('fsync', 'full_page_writes') and "
                                     "setting = 'off' order by name"};
  CAPF_LET(auto lease, pool_.take(wait_));
  Session session(lease.connection());
  CAPF_TRY(session.begin(Access::kRead));
  return session.all(kNotDurable, Parameters(), read_text);
}

Status PostgresDatabase::ping() {
  return run(pool_, std::chrono::seconds(1), takes_standby_, Access::kRead, [](Transaction&) { return Status{}; });
}

}  // namespace capf::storage
