#include "storage/runner.h"

#include <random>
#include <thread>

#include "capf/base/log.h"

namespace capf::storage {
namespace {

constexpr int kAttempts = 6;

/// A random pause, so that two transactions that collided try again at different moments.
void pause_before_attempt(int attempt) {
  thread_local std::minstd_rand generator{std::random_device{}()};
  std::this_thread::sleep_for(
      std::chrono::milliseconds(std::uniform_int_distribution<int>(1, 4 << attempt)(generator)));
}

RunResult attempt(Connection& connection, const Runner::Work& work) {
  Session session(connection);
  RunResult outcome;
  outcome.status = work(session);
  if (session.fault()) {
    outcome.remedy = session.fault()->remedy;
    outcome.cause = session.fault()->error.cause;
  }
  return outcome;
}

}  // namespace

Status Runner::run(const Work& work, std::chrono::milliseconds wait) {
  for (int count = 1;; ++count) {
    CAPF_LET(auto lease, pool_.take(wait));
    RunResult outcome = attempt(lease.connection(), work);
    if (!outcome.status && outcome.remedy == Remedy::kRenew && lease.pooled()) {
      log_info("database.session_renewed", {{"cause", outcome.cause}});
      CAPF_TRY(lease.renew());
      outcome = attempt(lease.connection(), work);
    }
    const Remedy remedy = after(lease, outcome);
    const bool again = remedy == Remedy::kRepeat || remedy == Remedy::kReconnect;
    if (outcome.status || !again || count == kAttempts) return outcome.status;
    pause_before_attempt(count);
  }
}

RunResult Runner::run_once(const Work& work) {
  auto lease = pool_.take(wait_);
  if (!lease) return {fail(std::move(lease.error()))};
  RunResult outcome = attempt(lease->connection(), work);
  outcome.remedy = after(*lease, outcome);
  return outcome;
}

Remedy Runner::after(Pool::Lease& lease, const RunResult& outcome) {
  Remedy remedy = outcome.remedy;
  if (remedy == Remedy::kPrimary) remedy = takes_standby_ ? Remedy::kGiveUp : Remedy::kReconnect;
  const bool lost = remedy == Remedy::kReconnect || remedy == Remedy::kAsk;
  if (lost || remedy == Remedy::kRenew) lease.discard();
  if (lost) pool_.close_idle();
  return remedy;
}

}  // namespace capf::storage
