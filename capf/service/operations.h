#pragma once

#include <optional>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/base/secret.h"
#include "capf/ca/authstring.h"
#include "capf/domain/database.h"
#include "capf/domain/operation_store.h"
#include "capf/domain/policy.h"

namespace capf::service {

struct ScheduleRequest {
  std::vector<DeviceName> devices;
  OperationKind kind = OperationKind::kInstall;
  AuthMode auth = AuthMode::kString;
  std::optional<Secret> auth_string;  ///< for every device; absent: one of 8 digits is generated for each
  KeyPolicy key;
  std::optional<TimePoint> completes_by;  ///< absent: 10 days ahead
};

struct Scheduled {
  Operation operation;
  Secret auth_string;  ///< where it was generated; shown only this once
};

struct ScheduleAnswer {
  std::vector<Scheduled> operations;
  std::vector<std::string> warnings;
};

/// The administrator's use cases of operations. Threads: any.
class Operations {
 public:
  Operations(Database& database, const ca::StringKey& strings, const SitePolicy& policy,
             Botan::RandomNumberGenerator& random)
      : database_(database), strings_(strings), policy_(policy), random_(random) {}

  /// All or nothing. Errors: UNKNOWN_DEVICE, OPERATION_PENDING, DEVICE_BLOCKED (FAILED_PRECONDITION's words name the
  /// device), INVALID_DEADLINE, INVALID_KEY_POLICY, INVALID_AUTH_STRING, INVALID_REQUEST.
  Result<ScheduleAnswer> schedule(const Actor& actor, const ScheduleRequest& request);
  Result<std::vector<Operation>> list(const OperationFilter& filter, const Page& page);
  /// The open one, or the last. Errors: UNKNOWN_DEVICE, UNKNOWN_OPERATION.
  Result<Operation> show(const DeviceName& device);
  /// Errors: UNKNOWN_DEVICE, NO_PENDING_OPERATION.
  Result<Operation> cancel(const Actor& actor, const DeviceName& device);

 private:
  Database& database_;
  const ca::StringKey& strings_;
  const SitePolicy& policy_;
  Botan::RandomNumberGenerator& random_;
};

}  // namespace capf::service
