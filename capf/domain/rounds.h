#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "capf/base/error.h"
#include "capf/domain/change.h"
#include "capf/domain/dossier.h"
#include "capf/domain/issuer.h"
#include "capf/domain/strings.h"

namespace capf {

/// The group in whose place a request waits for a round: each has a share, so that none keeps the others out.
enum class Share : std::uint8_t { kWire, kRpc, kStranger };

/// A refusal of somebody who did not prove to be a device.
struct RefusalRecord {
  std::string address_block;  ///< Address::block()
  std::string device;         ///< empty for a name that is not on record
  std::optional<std::int64_t> phone_id;
  Attempt attempt;
  std::optional<UnknownIssuer> unknown_issuer;
  int count = 1;
};

/// Looks and writes of many devices, each round in one transaction: while one is under way the next one gathers, and
/// nobody waits for company. A device has one member in all rounds. Each call returns when its own part is done.
/// Threads: any.
class Rounds {
 public:
  virtual ~Rounds() = default;
  /// All that is on record of what the caller names. @param gone whether the caller has left; may be empty.
  /// Errors: OVERLOADED, CALLER_GONE, those of the database.
  virtual Result<Dossier> look(const Enquiry& enquiry, Share share, const std::function<bool()>& gone) = 0;
  /// Errors: CHANGED_MEANWHILE where something differs from the basis, and nothing is written; COMMIT_IN_DOUBT;
  /// OVERLOADED where the phone is locked by another transaction for longer than a lock may be waited for.
  virtual Result<Written> write(const Change& change, Share share, const std::function<bool()>& gone) = 0;
  /// Counts a string before what came of its comparison is used or told. @param right whether it is the right one; then
  /// nothing of it stays counted, and the device's count of wrong ones is left to ForgiveStrings.
  /// @return the limit that refuses it: ADDRESS_LIMITED, AUTH_STRING_LOCKED, or AUTH_STRING_EXHAUSTED where the
  /// operation's limit is used up, so that the caller fails it; nothing where it counts. Errors: COMMIT_IN_DOUBT, where
  /// it may be counted: neither its comparison nor a limit may be told.
  virtual Result<std::optional<Reason>> hear(const HeardString& heard) = 0;
  /// Writes refusals down, which have been answered. Each is counted by its minute, address block, reason and device:
  /// beyond 400 rows in one minute, or 800 in ten, by its reason alone, with the address block "*". It replaces the
  /// device's last attempt, unless that one was later. An unknown issuer is counted too: beyond kMostCandidates the
  /// oldest one goes that was first shown from the address block with the most of them.
  virtual Status record(std::span<const RefusalRecord> refusals) = 0;
};

}  // namespace capf
