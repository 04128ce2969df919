#include "capf/service/maintenance.h"

#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr int kLeaseSeconds = 90;
constexpr std::chrono::hours kRefusalsKept{24 * 90};
constexpr int kOperationsPerRound = 500;

}  // namespace

Result<std::optional<int>> Maintenance::run() {
  return in_write(database_, [&](Transaction& tx) -> Result<std::optional<int>> {
    CAPF_LET(const bool mine, tx.leases().take("maintenance", holder_, kLeaseSeconds));
    if (!mine) return std::nullopt;
    CAPF_LET(const auto overdue, tx.operations().lock_overdue(tx.now() - kOverdueGrace, kOperationsPerRound));
    for (const Operation& operation : overdue) {
      CAPF_TRY(end_operation(tx, Actor{}, operation, OperationState::kExpired, Reason::kDeadlinePassed,
                             "the phone did not come in time"));
    }
    CAPF_TRY(tx.strings().prune());
    CAPF_TRY(tx.audit().prune_refusals(tx.now() - kRefusalsKept));
    return static_cast<int>(overdue.size());
  });
}

}  // namespace capf::service
