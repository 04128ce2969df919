#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/device.h"
#include "capf/domain/operation.h"
#include "capf/domain/page.h"

namespace capf {

struct OperationFilter {
  std::optional<OperationState> state;
  bool open = false;     ///< the three open states
  bool overdue = false;  ///< open, and past the deadline
  std::optional<OperationKind> kind;
  std::optional<DeviceName> device;
  std::optional<TimePoint> created_before;
};

/// An operation that ended together with others.
struct EndedOperation {
  std::int64_t id = 0;
  std::string device;
};

/// The own part of one of many operations that are added together.
struct NewOperation {
  std::int64_t id = 0;
  std::int64_t phone_id = 0;
  AuthMode auth = AuthMode::kString;
  KeyPolicy key{};
  std::optional<LscTerms> lsc{};
  std::optional<TermOwners> owners{};
  TimePoint completes_by;
  Bytes string_mac{};
  int string_digits = 0;
  int strings_limit = 0;  ///< wrong strings in all
};

/// A phone as a bulk over operations finds it, with its open operation, else its last one.
struct Standing {
  std::int64_t phone_id = 0;
  DeviceName device;
  bool blocked = false;
  std::int64_t operation_id = 0;  ///< 0: it never had one
  bool open = false;
  int certificates = 0;    ///< issued in the operation
  bool scheduled = false;  ///< by the run that asks
  bool cancelled = false;  ///< by the run that asks
};

class OperationStore {
 public:
  virtual ~OperationStore() = default;
  /// Ids for operations that are yet to be added: the authentication string's hash contains one.
  virtual Result<std::vector<std::int64_t>> next_ids(std::size_t count) = 0;
  /// Adds them as pending, with created_at by the database's clock. @param common has what they have in common: kind
  /// and created_by. @param run of the bulk, kRunOctets, or empty. @return how many were added: fewer than asked for
  /// where a phone has an open one.
  virtual Result<int> add_all(const Operation& common, std::span<const NewOperation> operations, BytesView run) = 0;
  virtual Result<std::optional<Operation>> find(std::int64_t id) = 0;
  /// In the order of their devices' names, byte for byte.
  virtual Result<std::vector<Operation>> find_all(std::span<const std::int64_t> ids) = 0;
  /// Of these phones, in the order of their names, byte for byte. @param run the bulk's that asks, or empty
  virtual Result<std::vector<Standing>> standings(std::span<const std::int64_t> phone_ids, BytesView run) = 0;
  virtual Result<std::optional<Operation>> find_open(std::int64_t phone_id) = 0;
  /// The open ones of these phones, in no order.
  virtual Result<std::vector<Operation>> find_all_open(std::span<const std::int64_t> phone_ids) = 0;
  /// The phone's newest one, open or not.
  virtual Result<std::optional<Operation>> find_last(std::int64_t phone_id) = 0;
  virtual Result<std::vector<Operation>> list(const OperationFilter& filter, const Page& page) = 0;
  /// Cancels the open ones of these phones. @param run of the bulk, 16 octets, or empty
  virtual Result<std::vector<EndedOperation>> cancel_all(std::span<const std::int64_t> phone_ids,
                                                         const std::string& message, BytesView run) = 0;
  /// Open ones whose deadline passed before `deadline`, oldest first, at most `limit`; skips rows that other
  /// transactions have locked.
  virtual Result<std::vector<Operation>> lock_overdue(TimePoint deadline, int limit) = 0;
};

}  // namespace capf
