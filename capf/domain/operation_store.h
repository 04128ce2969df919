#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

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

class OperationStore {
 public:
  virtual ~OperationStore() = default;
  /// An id for an operation that is yet to be added: the authentication string's hash contains it.
  virtual Result<std::int64_t> next_id() = 0;
  /// Adds it as pending, with created_at by the database's clock. @param strings_limit wrong strings in all.
  /// @return false where the phone has an open one.
  virtual Result<bool> add(const Operation& operation, int strings_limit) = 0;
  virtual Result<std::optional<Operation>> find(std::int64_t id) = 0;
  virtual Result<std::optional<Operation>> find_open(std::int64_t phone_id) = 0;
  /// The phone's newest one, open or not.
  virtual Result<std::optional<Operation>> find_last(std::int64_t phone_id) = 0;
  virtual Result<std::vector<Operation>> list(const OperationFilter& filter, const Page& page) = 0;
  /// Cancels the open ones of these phones.
  virtual Result<std::vector<EndedOperation>> cancel_all(std::span<const std::int64_t> phone_ids,
                                                         const std::string& message) = 0;
  /// Open ones whose deadline passed before `deadline`, oldest first, at most `limit`; skips rows that other
  /// transactions have locked.
  virtual Result<std::vector<Operation>> lock_overdue(TimePoint deadline, int limit) = 0;
};

}  // namespace capf
