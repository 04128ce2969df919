#pragma once

#include <string>
#include <vector>

#include "capf/base/log.h"
#include "capf/base/metrics.h"
#include "capf/domain/audit.h"
#include "capf/domain/call.h"
#include "capf/domain/database.h"
#include "capf/domain/page.h"
#include "capf/rules/call.h"
#include "capf/service/highwater.h"

namespace capf::service {

/// How secure calls are, for the SIP servers that have them, and the trunks and bridges that the site trusts.
/// Threads: any.
class Calls {
 public:
  Calls(Database& database, const HighWater& high_water, Metrics& metrics)
      : database_(database), high_water_(high_water), metrics_(metrics) {}

  /// By the record of this moment. Certificates that were observed and are not the device's own and good are counted,
  /// and events of the record: of many, the first few of a second, and of a minute.
  /// Errors: INVALID_REQUEST; DATABASE_BEHIND, because such a database may have forgotten a revocation; those of
  /// check_primary().
  Result<rules::CallAnswer> classify(const Actor& actor, const CallEnquiry& enquiry);

  /// Trusts the party, or gives it another level. @return false where it has that level already.
  /// Errors: INVALID_REQUEST.
  Result<bool> trust(const Actor& actor, const TrustedParty& party);
  /// Errors: UNKNOWN_PARTY.
  Result<TrustedParty> distrust(const Actor& actor, const CallParty& party);
  Result<std::vector<TrustedParty>> trusted(const Page& page);

 private:
  void report(const Actor& actor, const CallParty& party, SeenCertificate certificate);

  Database& database_;
  const HighWater& high_water_;
  Metrics& metrics_;
  LogLimit events_{5};  ///< a second
};

}  // namespace capf::service
