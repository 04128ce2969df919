#pragma once

#include <vector>

#include "capf/base/address.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/database.h"

namespace capf::service {

/// A seal with the events that are now in its range.
struct SealedBatch {
  AuditSeal seal;
  std::vector<AuditRecord> events;  ///< at most one more than the seal counts; none for one that is made up
  std::vector<SealRemark> remarks;  ///< unchecked: the verifier checks their signatures
};
struct SealedPage {
  std::vector<SealedBatch> batches;
  UnsealedEvents unsealed;  ///< events behind the last seal, where `batches` is empty
};

/// Reads the record, and writes refusals that no other use case records. Threads: any.
class Records {
 public:
  explicit Records(Database& database) : database_(database) {}

  Result<std::vector<AuditEvent>> list(const AuditFilter& filter, const Page& page);
  Result<std::vector<RefusalCount>> refusals(const AuditFilter& filter, const Page& page);
  /// Seals with a greater number than `after`, in order, some hundred events at once; none where there are no more.
  Result<SealedPage> seals(std::int64_t after);
  /// Records that an administrator was refused something: one event, about `subject`, or else about the administrator.
  void refused(const Actor& actor, const std::string& action, const std::string& subject, const Error& error);

 private:
  Database& database_;
};

}  // namespace capf::service
