#pragma once

#include <cstdint>
#include <optional>

#include "capf/rules/facts.h"
#include "capf/rules/refusal.h"

namespace capf::rules {

/// The proof that a call needs.
enum class Need : std::uint8_t {
  kOperation,  ///< to be the device, in the way that its open operation asks for; without one, by a certificate
  kDevice,     ///< to be the device: its own LSC will do, whatever the operation asks for
};

/// A caller who has proven the device, and how.
struct Identity {
  Phone phone;
  std::optional<Operation> operation{};  ///< the open one
  CredentialKind by = CredentialKind::kNone;
  std::optional<Sha256> certificate{};       ///< the one that proved it
  std::optional<Certificate> lsc{};          ///< its record, for kOwnLsc
  std::optional<ca::JudgedMic> mic{};        ///< for kMic
  std::optional<ca::JudgedMic> fresh_mic{};  ///< the MIC that was proven in this very session, whatever authenticated
  bool fresh = true;                         ///< whether `certificate` was
  std::optional<std::int64_t> session{};     ///< of a dialogue that goes on: see go_on()
  Basis basis{};                             ///< what the proof rests on
};

/// The part of an identity that is kept between the messages of a dialogue, and between two tries of one write. The
/// digits of a string are not kept: the operation that they proved is.
struct Begun {
  std::int64_t phone_id = 0;
  DeviceName device;
  CredentialKind by = CredentialKind::kNone;
  std::optional<std::int64_t> operation_id{};  ///< the open one; kAddedOperation until the write has given its id
  OperationKind kind = OperationKind::kInstall;
  std::optional<std::int64_t> session{};  ///< of a dialogue, after begin()
};
Begun begun_of(const Identity& identity);
/// The same after the write that began it.
Begun begun_of(Begun begun, const Written& written);

/// The treatment of the string that the caller says.
enum class StringUse : std::uint8_t {
  kNone,      ///< none is said, or something else decides: it is neither counted nor compared
  kStranger,  ///< no operation asks for it: Rounds::hear() counts it as a stranger's wrong one
  kCompared,  ///< the open operation asks for it: Rounds::hear() counts it unless it matches
};
/// Decides before the string is heard. @param facts with a string that has no limit yet; whether it matches is not
/// used.
StringUse use_of_string(const Facts& facts, Need need);

using Judgement = tl::expected<Identity, Refusal>;

/// Judges the caller. A string counts where it was heard, see use_of_string(); its limit is in the facts.
Judgement identify(const Facts& facts, Need need);
/// The same once more, for a caller who has proven the device before: to look again before a write, or at the next
/// message of a dialogue. A string proves what it proved then. Refusals besides: OPERATION_ENDED, SESSION_REPLACED.
Judgement go_on(const Facts& facts, Need need, const Begun& begun);

}  // namespace capf::rules
