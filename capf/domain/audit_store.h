#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/audit.h"
#include "capf/domain/operation.h"
#include "capf/domain/page.h"
#include "capf/domain/seal.h"

namespace capf {

struct AuditFilter {
  std::optional<std::string> subject;
  std::optional<std::string> actor;
  std::optional<std::string> action;  ///< or its first part: "operation"
  bool of_phones = false;             ///< with a device as its subject, which something else may be called too
  std::optional<TimePoint> since = {};
  std::optional<TimePoint> until = {};  ///< before then
};

struct OperationChange {
  AuditEvent event;
  std::optional<Operation> operation;  ///< as it is now
  ChangeCursor cursor;
};

/// Events of one kind by one actor in a minute.
inline constexpr int kActsInAMinute = 5;

class AuditStore {
 public:
  virtual ~AuditStore() = default;
  virtual Status add(const AuditEvent& event) = 0;
  /// All of them at once, in their order.
  virtual Status add_all(std::span<const AuditEvent> events) = 0;
  /// Adds an event that an authenticated caller can cause again and again: at most kActsInAMinute of an actor, action
  /// and reason in one minute, over all servers. Further ones are counted, and one event says how many they were when
  /// the minute is over.
  /// @return whether it is an event of its own
  virtual Result<bool> add_repeated(const AuditEvent& event) = 0;
  /// Adds the events for the minutes that are over.
  virtual Status report_repeated() = 0;
  /// In the order of their ids, or of their times where the filter has a time.
  virtual Result<std::vector<AuditEvent>> list(const AuditFilter& filter, const Page& page) = 0;
  /// The position at which the record ends now.
  virtual Result<ChangeCursor> end() = 0;
  /// Events about operations after `cursor` that no running transaction can still precede, in order.
  virtual Result<std::vector<OperationChange>> changes(const ChangeCursor& cursor, int limit) = 0;
  /// Of the minutes from `since` on and before `until`. @param device empty: of all. @param page behind its first
  /// `after` rows, from either end
  virtual Result<std::vector<RefusalCount>> refusals(TimePoint since, const std::optional<TimePoint>& until,
                                                     const std::optional<std::string>& device, const Page& page) = 0;
  /// Drops counted refusals of before `until`, some thousands at a time.
  virtual Status prune_refusals(TimePoint until) = 0;
};

}  // namespace capf
