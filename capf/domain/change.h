#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "capf/domain/audit.h"
#include "capf/domain/certificate.h"
#include "capf/domain/key.h"
#include "capf/domain/operation.h"
#include "capf/domain/phone.h"

// A decision as a list of writes. Rules make it, storage carries it out. Times on record are those of the write.

namespace capf {

/// Writes of one phone's change that name an operation give kAddedOperation for the one that the same change adds.
inline constexpr std::int64_t kAddedOperation = 0;

struct AddOperation {
  Operation operation;  ///< pending; where it has no id yet, the write draws one
  int strings_limit = 0;
};
/// To in_progress, which begins another session, or to issued, which counts a certificate.
struct AdvanceOperation {
  std::int64_t id = kAddedOperation;
  OperationState to = OperationState::kInProgress;
  CredentialKind by = CredentialKind::kNone;
  std::optional<Sha256> certificate;
  bool expired_mic = false;
};
/// Counts that the phone could not generate its key.
struct CountFailure {
  std::int64_t id = 0;
};
/// Removes the hash of its string too.
struct EndOperation {
  std::int64_t id = 0;
  OperationState to = OperationState::kSucceeded;
  std::optional<Reason> reason;
  std::string message;
};
/// One that was handed over before changes nothing.
struct AddCertificate {
  Certificate certificate;  ///< operation_id may be kAddedOperation for an LSC; issued_at is the write's
};
struct ConfirmCertificate {
  std::int64_t id = 0;
};
struct SupersedeCertificate {
  std::int64_t id = 0;
};
/// One on hold is revoked for good, with the time of the hold.
struct RevokeCertificate {
  std::int64_t id = 0;
  RevocationReason reason = RevocationReason::kUnspecified;
};
/// Writes the key and its modulus down for their owner. The write differs from the decision where the record is
/// another's, or refuses the key.
struct ClaimKey {
  KeyDigests key;
  KeyOwner owner = KeyOwner::kPhone;
};
struct SetMic {
  Sha256 sha256{};
  bool fresh = false;
  Bytes der{};  ///< kept, with the dates, where it is not empty
  TimePoint not_before{};
  TimePoint not_after{};
};
struct SetModel {
  std::string model;
};
struct StopSelfService {};
/// A right string clears the device's count of wrong ones.
struct ForgiveStrings {};
/// The phone's last refused attempt; its time is the write's.
struct RecordAttempt {
  Attempt attempt;
};
struct AddEvent {
  AuditEvent event;       ///< operation_id may be kAddedOperation where `of_added`
  bool of_added = false;  ///< about the operation that the change adds
  bool repeated = false;  ///< the caller can cause it again and again: see AuditStore::add_repeated()
};

using Write = std::variant<AddOperation, AdvanceOperation, CountFailure, EndOperation, AddCertificate,
                           ConfirmCertificate, SupersedeCertificate, RevokeCertificate, ClaimKey, SetMic, SetModel,
                           StopSelfService, ForgiveStrings, RecordAttempt, AddEvent>;

/// The facts under a decision. The write compares all of it in its own transaction, before its first write.
struct Basis {
  std::int64_t phone_id = 0;
  std::int64_t revision = 0;                   ///< Dossier::revision
  TimePoint postmaster_start;                  ///< Dossier::postmaster_start: after a failover, numbers may come again
  TimePoint looked_at;                         ///< Dossier::now; the write's now() lies at most kLongestDecision later
  TimePoint holds_until = TimePoint::max();    ///< a deadline, the end of a certificate, of an anchor
  std::optional<std::int64_t> trust_revision;  ///< where a trust anchor vouches
  std::vector<Sha256> certificates;            ///< none of them is blocked
  std::vector<Sha256> keys;                    ///< none of them is blocked or compromised
  std::optional<std::int64_t> active_issuer;   ///< where an LSC is added
  std::optional<std::int64_t> session;         ///< the open operation's, where the phone goes on with one
};
inline constexpr std::chrono::seconds kLongestDecision{30};

/// The writes of one phone, all or none, in this order.
struct Change {
  Basis basis;
  std::vector<Write> writes;
};

/// The writes of one phone by a transaction that has locked it and looked at it, in this order.
struct PhoneWrites {
  std::int64_t phone_id = 0;
  std::span<const Write> writes;
};

/// The outcome of a write.
struct Written {
  TimePoint at;
  std::int64_t added_operation = 0;  ///< the id of AddOperation
  std::int64_t session = 0;          ///< after AdvanceOperation
};

}  // namespace capf
