#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/base/secret.h"
#include "capf/domain/database.h"
#include "capf/domain/device.h"
#include "capf/domain/policy.h"
#include "capf/domain/terms.h"
#include "capf/service/operations.h"

// Phones that move in from another CAPF server.

namespace capf::service {

/// The operation that was open there.
struct MovedOperation {
  OperationKind kind = OperationKind::kInstall;
  SaidTerms said;      ///< with `auth`
  Secret auth_string;  ///< by string: the new one; empty in check()
};

struct MovedPhone {
  DeviceName device;
  Bytes certificate{};  ///< DER; empty: none
  std::optional<MovedOperation> operation{};
};

struct Move {
  std::vector<MovedPhone> phones;  ///< 1 to kPhonesInBatch, each of another name
  std::vector<Bytes> issuers;      ///< DER: one of them has signed each certificate
  Role role = Role::kAdmin;        ///< of who moves them
};

struct MoveProblem {
  std::size_t place = 0;  ///< of the phone in the move, from 0
  Error error;            ///< DEVICE_NAME_REFUSED, DEVICE_OTHER_CASE, INVALID_CERTIFICATE, those of SaidTerms::check()
};

struct MoveAnswer {
  int added = 0;                        ///< phones that were not on record
  int certificates = 0;                 ///< that were not
  std::vector<DeviceName> scheduled{};  ///< phones that get an operation, in the order of the move
  std::vector<MoveProblem> problems{};  ///< found by check()
};

/// Records that are there stay as they are, and a phone that ever had an operation here gets none, so that a move that
/// comes twice adds nothing the second time. Threads: any.
class Moving {
 public:
  Moving(Database& database, const SitePolicy& policy, Operations& operations)
      : database_(database), policy_(policy), operations_(operations) {}

  /// Says what move() would do, and changes nothing. Errors: INVALID_REQUEST for none, too many or duplicates;
  /// INVALID_CERTIFICATE for an issuer that is none.
  Result<MoveAnswer> check(const Move& move);
  /// Adds phones, keeps their certificates as handed over, and schedules their operations, in one transaction. Errors:
  /// those of check() and of its problems; INVALID_AUTH_STRING where an operation by string has none; those of
  /// scheduling. Then nothing is done.
  Result<MoveAnswer> move(const Actor& actor, const Move& move);

 private:
  Database& database_;
  const SitePolicy& policy_;
  Operations& operations_;
};

}  // namespace capf::service
