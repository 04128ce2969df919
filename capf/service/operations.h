#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/base/secret.h"
#include "capf/ca/authstring.h"
#include "capf/domain/database.h"
#include "capf/domain/operation_store.h"
#include "capf/domain/page.h"
#include "capf/domain/policy.h"
#include "capf/domain/terms.h"
#include "capf/service/bulk.h"
#include "capf/service/prospects.h"

namespace capf::service {

/// Operations that are scheduled: what is said of them, alike for all phones; the rest is what is in effect of each.
struct OperationPlan : SaidTerms {
  OperationKind kind = OperationKind::kInstall;
  std::optional<Secret> auth_string;  ///< for every device, where `auth` says string; absent: each has its own
  Role role = Role::kOperator;        ///< of who schedules
};

struct ScheduleRequest : OperationPlan {
  std::vector<DeviceName> devices;  ///< 1 to kPhonesInBatch, each once
};

struct Scheduled {
  Operation operation;
  Secret auth_string;  ///< where it was generated; shown only this once
};

struct ScheduleAnswer {
  std::vector<Scheduled> operations;
  std::vector<std::string> warnings;
};

/// A phone that is scheduled for, and on what terms.
struct Planned {
  Standing phone;
  Terms terms;
};

/// Why a bulk cannot do a phone.
struct Problem {
  std::string device;
  Reason reason = Reason::kInternal;
  std::string message;
};
/// Those that may be skipped.
inline constexpr std::array kProblems{Reason::kUnknownDevice, Reason::kDeviceBlocked, Reason::kOperationPending,
                                      Reason::kNoPendingOperation};

/// A call of a bulk over operations.
struct OperationBulk {
  Bulk phones;
  std::set<Reason> skipped;  ///< problems whose phones are left out; any other one refuses the call
  Bytes run;  ///< kRunOctets, the same ones in each call, so that one that comes twice is done once; or empty
};

struct ScheduleBulk : OperationBulk {
  OperationPlan plan;
  /// One for each phone that is scheduled by string; empty: they are generated.
  std::map<DeviceName, Secret> strings;
  /// Of such phones, where the plan says none: what a dry run said of them, so that it may be on paper already.
  std::map<DeviceName, TimePoint> deadlines;
  bool replace = false;  ///< cancels an open operation, which is no problem then
};

/// A phone of which a bulk has no problem to tell.
struct BulkPhone {
  Phone phone;
  bool done = false;           ///< by this run
  std::optional<Terms> terms;  ///< of its operation; absent where it is done
  Prospect prospect;
};

/// The findings of a call, if it were made now.
struct BulkCheck {
  std::int64_t count = 0;  ///< phones of the whole bulk, in the first call
  std::vector<BulkPhone> phones;
  std::vector<Problem> problems;
  std::vector<std::string> warnings;
  TimePoint completes_by;  ///< the latest
  std::optional<BulkCursor> next;
};

struct BulkScheduled {
  int selected = 0;                   ///< phones of this call
  std::vector<Scheduled> operations;  ///< those of this run, which another call may have scheduled
  std::vector<Problem> problems;      ///< those that were skipped
  TimePoint completes_by;             ///< the latest
  std::optional<BulkCursor> next;     ///< absent: the bulk is done
};

struct BulkCancelled {
  int selected = 0;
  std::vector<Operation> operations;
  std::vector<Problem> problems;
  std::optional<BulkCursor> next;
};

/// The administrator's use cases of operations. Threads: any.
class Operations {
 public:
  Operations(Database& database, const ca::StringKey& strings, const SitePolicy& policy,
             Botan::RandomNumberGenerator& random)
      : database_(database), strings_(strings), policy_(policy), random_(random) {}

  /// All or nothing. Errors: UNKNOWN_DEVICE, OPERATION_PENDING, DEVICE_BLOCKED (the words name the first device),
  /// INVALID_DEADLINE, INVALID_KEY_POLICY, INVALID_AUTH_STRING, INVALID_REQUEST, those of check_terms().
  Result<ScheduleAnswer> schedule(const Actor& actor, const ScheduleRequest& request);
  Result<std::vector<Operation>> list(const OperationFilter& filter, const Page& page);
  /// The open one, or the last. Errors: UNKNOWN_DEVICE, UNKNOWN_OPERATION.
  Result<Operation> show(const DeviceName& device);
  /// Errors: UNKNOWN_DEVICE, NO_PENDING_OPERATION.
  Result<Operation> cancel(const Actor& actor, const DeviceName& device);

  /// Schedules in a transaction that has locked these phones. @param bulk of whose kind, strings and deadlines it
  /// takes, and the run. Errors: those of the bulk's below.
  Result<std::vector<Scheduled>> schedule(Transaction& tx, const Actor& actor, const ScheduleBulk& bulk,
                                          std::vector<Planned> phones);

  // Bulks, call by call: what a call refuses, it does for none of its phones. Errors: those of take_batch() and of a
  // problem that is not skipped.

  /// Errors besides: those of schedule(); INVALID_AUTH_STRING where a phone has no string and others have;
  /// CHANGED_MEANWHILE where the settings are others than the dry run found.
  Result<BulkScheduled> schedule(const Actor& actor, const ScheduleBulk& bulk);
  Result<BulkCancelled> cancel(const Actor& actor, const OperationBulk& bulk);
  /// Looks at what the call would do: every problem, and the deadline. Changes nothing.
  Result<BulkCheck> check_schedule(const ScheduleBulk& bulk);
  Result<BulkCheck> check_cancel(const OperationBulk& bulk);

 private:
  Status check(const OperationPlan& plan) const;
  /// The string of this phone alone, where it has one.
  Result<Secret> string_for(const ScheduleBulk& bulk, const Planned& planned);
  Result<std::vector<Scheduled>> add(Transaction& tx, const Actor& actor, const ScheduleBulk& bulk,
                                     std::span<const Planned> phones);

  Database& database_;
  const ca::StringKey& strings_;
  const SitePolicy& policy_;
  Botan::RandomNumberGenerator& random_;
};

}  // namespace capf::service
