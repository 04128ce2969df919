#pragma once

#include <optional>

#include "capf/base/metrics.h"
#include "capf/daemon/complaint.h"
#include "capf/domain/database.h"
#include "capf/service/journal.h"
#include "capf/service/sealer.h"
#include "capf/service/siteclock.h"

namespace capf::daemon {

/// Follows the journal, seals the record, and reports whether the database can be reached, written and is as far as
/// this server's marks. Threads: one.
class Sealing {
 public:
  /// @param adopted whether SealStore::adopt_cluster() has run for this cluster; where not, it runs first.
  Sealing(Database& database, service::Journal& journal, service::Sealer& sealer, const service::HighWater& high_water,
          service::SiteClock& clock, Metrics& metrics, bool adopted)
      : database_(database),
        journal_(journal),
        sealer_(sealer),
        high_water_(high_water),
        clock_(clock),
        metrics_(metrics),
        adopted_(adopted) {}

  /// Seals nothing: whether the database is behind is known before any caller comes.
  void check();
  /// Call it every kLeaseRenewal.
  void run();

 private:
  Status adopt();
  void report(const Result<std::optional<AuditSeal>>& last);
  void report_database(std::optional<Reason> reason);

  Database& database_;
  service::Journal& journal_;
  service::Sealer& sealer_;
  const service::HighWater& high_water_;
  service::SiteClock& clock_;
  Metrics& metrics_;
  bool adopted_;
  bool read_only_ = false;  ///< whether the database was, the last time that it answered
  Complaint complaint_{"audit.unsealed"};
  Complaint journal_complaint_{"journal.not_followed"};
};

}  // namespace capf::daemon
