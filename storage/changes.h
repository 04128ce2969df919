#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "capf/domain/change.h"
#include "storage/session.h"

namespace capf::storage {

enum class Outcome : std::uint8_t {
  kWritten,
  kDiffers,  ///< from what its basis says: nothing of it is written
  kLocked,   ///< by another transaction, and nothing of it is written: it is to be written alone
};
struct Member {
  Outcome outcome = Outcome::kLocked;
  Written written;
};

/// Carries out changes, each whole or not at all, in two statements: the first one locks what they rest on, in the
/// order of all locks (capf/domain/database.h); the second one compares each basis and makes the writes of those that
/// agree.
/// @param session in an open transaction that may write; the caller commits, also where some differ
/// @param changes of different phones, at least one
/// @param alone whether it may wait for locks; in a round of several nobody waits
/// @return one member for each change, in their order. CHANGED_MEANWHILE where another transaction took a key between
/// the comparison and the write, or two of the changes claim the same one: the caller rolls back, and writes each half.
Result<std::vector<Member>> write(Session& session, std::span<const Change* const> changes, bool alone);

/// Transaction::write().
Result<Written> write(Session& session, std::int64_t phone_id, std::span<const Write> writes);
Result<std::vector<Written>> write(Session& session, std::span<const PhoneWrites> phones);

}  // namespace capf::storage
