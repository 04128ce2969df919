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
  /// The phone's operation before that one.
  virtual Result<std::optional<Operation>> find_before(std::int64_t phone_id, std::int64_t id) = 0;
  virtual Result<std::vector<Operation>> list(const OperationFilter& filter, const Page& page) = 0;
  /// Records how the phone authenticated and moves to `to`: in_progress, which begins another session, or issued,
  /// which counts a certificate. @return the number of the session; nothing where the operation is not open any more.
  virtual Result<std::optional<std::int64_t>> advance(std::int64_t id, OperationState to, CredentialKind by,
                                                      const std::optional<Sha256>& certificate, bool expired_mic) = 0;
  /// Ends it: succeeded, failed, expired or cancelled; removes its string's hash. @return false where it is not open.
  virtual Result<bool> finish(std::int64_t id, OperationState to, std::optional<Reason> reason,
                              const std::string& message) = 0;
  /// Cancels the open ones of these phones.
  virtual Result<std::vector<EndedOperation>> cancel_all(std::span<const std::int64_t> phone_ids,
                                                         const std::string& message) = 0;
  /// @return how often the phone has reported failure now; 0 where the operation is not open.
  virtual Result<int> count_failure(std::int64_t id) = 0;
  /// Open ones whose deadline passed before `deadline`, oldest first, at most `limit`; skips rows that other
  /// transactions have locked.
  virtual Result<std::vector<Operation>> lock_overdue(TimePoint deadline, int limit) = 0;
};

}  // namespace capf
