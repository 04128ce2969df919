#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "capf/base/metrics.h"
#include "capf/ca/issuers.h"
#include "capf/daemon/complaint.h"
#include "capf/daemon/configuration.h"
#include "capf/daemon/site.h"
#include "capf/domain/database.h"
#include "capf/service/crlstate.h"
#include "capf/service/expiry.h"
#include "capf/service/highwater.h"
#include "capf/service/published.h"
#include "capf/service/publisher.h"
#include "capf/service/responder.h"
#include "capf/service/siteclock.h"

namespace capf::daemon {

/// Publishes for relying parties: the CRLs of every issuer, and the certificates with which OCSP is answered.
class Publishing {
 public:
  /// All of it outlives this.
  struct Uses {
    Database& database;  ///< for the questions of relying parties
    Database& reserved;  ///< for regular work
    const ca::Issuers& issuers;
    service::HighWater& high_water;
    service::SiteClock& clock;
    service::CrlState& state;
    service::OwnCertificates& own;
    Metrics& metrics;
  };
  /// Opens the CRLs that this server served last, and reports whether the database has them.
  /// @param holder a name of this server that no other one has.
  /// Errors: those of PublishedCrls::open().
  static Result<std::unique_ptr<Publishing>> open(const Uses& uses, const Configuration& configuration,
                                                  const SiteFiles& files, const std::string& holder);

  /// One round over every issuer. Threads: one. @return the time until it is to be called again
  std::chrono::milliseconds run();
  /// At the end: another server may have the leases at once.
  void leave();

  const service::PublishedCrls& crls() const { return *crls_; }
  service::Responder& responder() { return responder_; }

 private:
  Publishing(const Uses& uses, std::unique_ptr<service::PublishedCrls> crls, const StatusSettings& settings,
             const service::PublisherSettings& publisher);

  void hold_against_crls();
  bool database_is_behind();
  void report(const service::ShardState& state);
  void log_failure(const service::ShardState& state);

  const Uses uses_;
  const std::chrono::milliseconds period_;
  const std::unique_ptr<service::PublishedCrls> crls_;
  service::Publisher publisher_;
  service::Responder responder_;
  std::map<CrlShard, Reason> failing_;  ///< the last reason logged for each shard
  bool behind_ = false;                 ///< as logged
  Complaint ocsp_complaint_{"ocsp.not_certified"};
};

}  // namespace capf::daemon
