#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "capf/ca/issuers.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/database.h"
#include "capf/domain/operation_store.h"
#include "capf/domain/security_change_store.h"
#include "capf/domain/server_store.h"
#include "capf/domain/summary_store.h"
#include "capf/service/crlstate.h"
#include "capf/service/expiry.h"
#include "capf/service/highwater.h"
#include "capf/service/recordstate.h"

namespace capf::service {

/// The data that monitoring polls. Threads: any.
class Monitor {
 public:
  /// @param folders where this server must be able to write
  Monitor(Database& database, const Clock& clock, const ca::Issuers& issuers, const HighWater& high_water,
          const RecordState& record, const CrlState& crls, const OwnCertificates& own,
          std::vector<std::filesystem::path> folders)
      : database_(database),
        clock_(clock),
        issuers_(issuers),
        high_water_(high_water),
        record_(record),
        crls_(crls),
        own_(own),
        folders_(std::move(folders)) {}

  /// Its expiries are those of the site and of this server.
  /// @param days as for SummaryStore::summary().
  Result<Summary> summary(std::span<const int> days = {});
  Result<std::vector<Operation>> pending(const OperationFilter& filter, const Page& page);
  Result<ChangeCursor> end_of_changes();
  Result<std::vector<OperationChange>> changes(const ChangeCursor& cursor, int limit);
  /// Behind end_of_changes() too, which is a place in both records. Errors: CURSOR_EXPIRED.
  Result<std::vector<SecurityChange>> security_changes(const ChangeCursor& cursor, int limit);
  /// Whether this server can write its files, the database answers and is as far as the high-water marks, the record
  /// can be written and sealed, the clocks agree with each other and with what the site has signed, and this server has
  /// the active issuer's key and the CRLs that are due. Errors: STATE_NOT_WRITABLE, DATABASE_UNAVAILABLE,
  /// DATABASE_READ_ONLY, DATABASE_BEHIND, CLOCK_SKEW, ISSUER_KEY_ABSENT, TOKEN_UNAVAILABLE, RECORD_BROKEN; those of
  /// CrlState.
  Status healthy();
  /// Servers of the site that ended without saying so: see ServerStore::silent().
  Result<std::vector<ServerRecord>> silent_servers();
  /// Conditions that an administrator should look at though the site serves, each in a sentence.
  Result<std::vector<std::string>> warnings();

 private:
  Database& database_;
  const Clock& clock_;
  const ca::Issuers& issuers_;
  const HighWater& high_water_;
  const RecordState& record_;
  const CrlState& crls_;
  const OwnCertificates& own_;
  const std::vector<std::filesystem::path> folders_;
};

}  // namespace capf::service
