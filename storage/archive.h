#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capf/domain/audit.h"
#include "capf/domain/seal.h"
#include "storage/session.h"

namespace capf::storage {

/// Reads and deletes rows that are old enough to leave the database, as the schema's owner, because the server's role
/// may not delete them. One program at a time. Every answer is a batch, oldest first. Threads: one.
class Archive {
 public:
  /// Connects, without waiting for another archiving: CHANGED_MEANWHILE where one runs.
  static Result<std::unique_ptr<Archive>> open(const std::string& owner_conninfo);

  /// A seal that is old enough, with its events; never the last one.
  struct Sealed {
    AuditSeal seal;
    std::string month;                ///< in which it was sealed: "2030-12"
    std::vector<AuditRecord> events;  ///< none for a seal that a remark calls made up
    std::vector<SealRemark> remarks;
    ChangeCursor place;  ///< of the last event that this seal and those before cover
  };
  /// @param is_good whether the audit key has signed it.
  Result<std::vector<Sealed>> seals(std::chrono::days age, const std::function<bool(const AuditSeal&)>& is_good);
  /// Whether the seals on record follow this one, or it is one of them. After a restore other ones have its number.
  Result<bool> continues(std::int64_t number, BytesView signature);
  /// The seals up to and with this one, and their events.
  Status remove_seals(const Sealed& last);
  /// SubjectPublicKeyInfo of the audit key.
  Result<std::optional<Bytes>> audit_key();

  /// A row as JSON, with every column.
  struct Row {
    std::int64_t id = 0;
    TimePoint at;  ///< the time from which its age counts
    std::string month;
    std::string json;
  };
  struct Cursor {
    TimePoint at;
    std::int64_t id = 0;
  };
  /// Certificates that expired (and were issued) `days` ago or before. The last confirmed LSC of a phone stays, because
  /// whether it ever had one decides which credentials count.
  Result<std::vector<Row>> certificates(const Cursor& after, std::chrono::days age);
  /// Deletes them with their revocations. Their keys stay on record for ever.
  Status remove_certificates(const std::vector<Row>& rows);
  /// Operations that ended `days` ago or before and that no certificate and no event refers to; the last one of a phone
  /// stays.
  Result<std::vector<Row>> operations(const Cursor& after, std::chrono::days age);
  Status remove_operations(const std::vector<Row>& rows);

  Status record(const AuditEvent& event);

 private:
  explicit Archive(const LinkSettings& settings) : connection_(settings) {}
  template <class Work>
  Status write(Work work);

  Connection connection_;
};

}  // namespace capf::storage
