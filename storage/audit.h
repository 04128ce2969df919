#pragma once

#include "capf/domain/audit_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class Audit final : public AuditStore {
 public:
  explicit Audit(Session& session) : session_(session) {}
  Status add(const AuditEvent& event) override;
  Status add_all(std::span<const AuditEvent> events) override;
  Result<bool> add_repeated(const AuditEvent& event) override;
  Status report_repeated() override;
  Result<std::vector<AuditEvent>> list(const AuditFilter& filter, const Page& page) override;
  Result<ChangeCursor> end() override;
  Result<std::vector<OperationChange>> changes(const ChangeCursor& cursor, int limit) override;
  Result<std::vector<RefusalCount>> refusals(TimePoint since, const std::optional<TimePoint>& until,
                                             const std::optional<std::string>& device, const Page& page) override;
  Status prune_refusals(TimePoint until) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
