#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "capf/base/metrics.h"
#include "capf/base/time.h"
#include "capf/daemon/complaint.h"
#include "capf/domain/summary_store.h"
#include "capf/rpc/readiness.h"
#include "capf/service/expiry.h"
#include "capf/service/monitor.h"
#include "capf/service/shared_lines.h"

namespace capf::daemon {

/// Sets the metrics of the connections to the database: size, in use, waiting.
using PoolReading = std::function<void(Metrics&)>;

/// Sets the metrics that nobody counts: whether this server serves, what the database has, and when certificates end,
/// of which it warns in the log too. Threads: one.
class Gauges {
 public:
  Gauges(PoolReading read_pool, rpc::Readiness& readiness, service::Monitor& monitor, service::LineSurvey& lines,
         const service::OwnCertificates& own, const Clock& clock, Metrics& metrics)
      : read_pool_(std::move(read_pool)),
        readiness_(readiness),
        monitor_(monitor),
        lines_(lines),
        own_(own),
        clock_(clock),
        metrics_(metrics) {}

  /// Call it now and then.
  void read();

 private:
  void read_readiness();
  void read_lines();
  void set_summary(const Summary& summary);
  void set_ends(const std::vector<Expiry>& expiries);
  void set_administrators(const std::vector<Expiry>& expiries);
  void warn_of_ends(const std::vector<Expiry>& expiries);

  const PoolReading read_pool_;
  rpc::Readiness& readiness_;
  service::Monitor& monitor_;
  service::LineSurvey& lines_;
  const service::OwnCertificates& own_;
  const Clock& clock_;
  Metrics& metrics_;
  service::ExpiryWarnings warnings_;
  Complaint readiness_complaint_{"server.not_ready"};
  Complaint summary_complaint_{"summary.failed"};
  Complaint lines_complaint_{"lines.failed"};
};

}  // namespace capf::daemon
