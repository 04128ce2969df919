#pragma once

#include <cstdint>
#include <optional>

#include "capf/rules/facts.h"

namespace capf::rules {

struct Begun;

/// Where a refusal is written down.
enum class Notice : std::uint8_t {
  kNone,      ///< nowhere: nothing is pending on the wire, or the server cannot do it now
  kStranger,  ///< counted and logged with its true reason, recorded by Rounds::record() after the answer
  kPhone,     ///< the device was proven before: Refusal::change records it
};

/// Why somebody did not prove to be the device.
struct Refusal {
  Error error;  ///< the true reason, which goes into the record alone
  Notice notice = Notice::kStranger;
  std::optional<Phone> phone{};                   ///< the device, where there is one
  std::optional<Operation> operation{};           ///< its open one
  std::optional<UnknownIssuer> unknown_issuer{};  ///< whose trust would have helped, for CERTIFICATE_UNKNOWN_ISSUER
  /// To be written before the answer: an operation whose strings are used up has failed; a superseded LSC was used.
  std::optional<Change> change{};

  /// The error that the caller hears: AUTHENTICATION_FAILED for all that is a stranger's to hear.
  Error answer() const;
};

/// The change that records a refusal of a caller who has proven the device: the phone's last attempt, and an event of
/// which the first few of a minute are kept. Nothing for what may pass by itself, and for a phone on the wire that has
/// nothing pending.
std::optional<Change> record_refusal(const Facts& facts, const Begun& begun, OperationKind kind, const Error& error);
/// The dialogue broke off: only the record changes.
std::optional<Change> broke_off(const Facts& facts, const Begun& begun, const Error& why);

}  // namespace capf::rules
