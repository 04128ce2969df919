#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/domain/device.h"

namespace capf {

enum class OperationKind : std::uint8_t { kInstall, kDelete, kTroubleshoot };
inline constexpr std::array kOperationKinds{OperationKind::kInstall, OperationKind::kDelete,
                                            OperationKind::kTroubleshoot};

/// pending -> in_progress -> issued -> succeeded, or failed, expired, cancelled; in_progress and issued go back to
/// in_progress when the phone starts again.
enum class OperationState : std::uint8_t { kPending, kInProgress, kIssued, kSucceeded, kFailed, kExpired, kCancelled };
inline constexpr std::array kOperationStates{
    OperationState::kPending, OperationState::kInProgress, OperationState::kIssued,   OperationState::kSucceeded,
    OperationState::kFailed,  OperationState::kExpired,    OperationState::kCancelled};

/// How the phone is to authenticate. kLsc and kMic are *by existing certificate*, with that precedence.
enum class AuthMode : std::uint8_t { kString, kNull, kLsc, kMic };
inline constexpr std::array kAuthModes{AuthMode::kString, AuthMode::kNull, AuthMode::kLsc, AuthMode::kMic};

enum class KeyOrder : std::uint8_t { kRsa, kEc, kEcRsa };
inline constexpr std::array kKeyOrders{KeyOrder::kRsa, KeyOrder::kEc, KeyOrder::kEcRsa};

// The spellings of the command line, of JSON and of the database.
std::string_view to_string(OperationKind kind);
std::string_view to_string(OperationState state);
std::string_view to_string(AuthMode mode);
std::string_view to_string(KeyOrder order);
std::optional<OperationKind> parse_operation_kind(std::string_view text);
std::optional<OperationState> parse_operation_state(std::string_view text);
std::optional<AuthMode> parse_auth_mode(std::string_view text);
std::optional<KeyOrder> parse_key_order(std::string_view text);

/// pending, in_progress, issued
constexpr bool is_open(OperationState state) {
  return state == OperationState::kPending || state == OperationState::kInProgress || state == OperationState::kIssued;
}
/// The whole table of transitions; the database holds the same one in a trigger.
bool may_become(OperationState from, OperationState to);

/// The key that an operation asks for. RSA: 1024, 2048, 3072, 4096 bits. EC: 256, 384, 521.
struct KeyPolicy {
  KeyOrder order = KeyOrder::kRsa;
  int rsa_bits = 2048;
  int ec_bits = 384;

  /// Errors: INVALID_KEY_POLICY.
  Status check() const;
  bool operator==(const KeyPolicy&) const = default;
};

inline constexpr int kLargestCertificatesPerOperation = 5;
inline constexpr int kLargestKeyGenerationFailures = 3;
/// How long an open operation outlives its deadline, overdue, before it expires.
inline constexpr std::chrono::hours kOverdueGrace{24 * 7};
inline constexpr std::chrono::hours kDefaultDeadline{24 * 10};

/// How the phone proved who it is; recorded in the operation.
enum class CredentialKind : std::uint8_t { kNone, kString, kOwnLsc, kForeignLsc, kMic };
inline constexpr std::array kCredentialKinds{CredentialKind::kNone, CredentialKind::kString, CredentialKind::kOwnLsc,
                                             CredentialKind::kForeignLsc, CredentialKind::kMic};
std::string_view to_string(CredentialKind kind);
std::optional<CredentialKind> parse_credential_kind(std::string_view text);

enum class SubjectForm : std::uint8_t;

/// The values that an operation has from the moment that it is scheduled.
enum class Term : std::uint8_t { kAuth, kKeyOrder, kRsaBits, kEcBits, kCompletesBy, kLscValidity, kLscSubject };
inline constexpr std::array kTerms{Term::kAuth,        Term::kKeyOrder,    Term::kRsaBits,   Term::kEcBits,
                                   Term::kCompletesBy, Term::kLscValidity, Term::kLscSubject};
/// "auth", "key_order", "rsa_bits", "ec_bits", "completes_by", "lsc_validity_days", "lsc_subject"
std::string_view to_string(Term term);

/// Whose such a value is.
enum class TermOwner : std::uint8_t {
  kSite,
  kProfile,
  kPhone,
  kCommand,  ///< that scheduled the operation
  kFormer,   ///< the operation that issued the LSC that a phone renews by itself
};
inline constexpr std::array kTermOwners{TermOwner::kSite, TermOwner::kProfile, TermOwner::kPhone, TermOwner::kCommand,
                                        TermOwner::kFormer};
/// "site", "profile", "phone", "command", "former"
std::string_view to_string(TermOwner owner);

class TermOwners {
 public:
  TermOwner& operator[](Term term) { return owners_[static_cast<std::size_t>(term)]; }
  TermOwner operator[](Term term) const { return owners_[static_cast<std::size_t>(term)]; }
  bool operator==(const TermOwners&) const = default;

 private:
  std::array<TermOwner, kTerms.size()> owners_{};
};
/// A letter for each term, in their order: s, r (profile), p (phone), c, f. The spelling of the database.
std::string to_letters(const TermOwners& owners);
std::optional<TermOwners> parse_term_owners(std::string_view letters);

/// The LSC that an operation asks for, beside its key.
struct LscTerms {
  std::chrono::hours validity{};
  SubjectForm subject{};

  bool operator==(const LscTerms&) const = default;
};

struct Operation {
  std::int64_t id = 0;
  std::int64_t phone_id = 0;
  DeviceName device;
  OperationKind kind = OperationKind::kInstall;
  OperationState state = OperationState::kPending;
  AuthMode auth = AuthMode::kString;
  KeyPolicy key{};
  std::optional<LscTerms> lsc{};       ///< absent: of a version before, and the site's count
  std::optional<TermOwners> owners{};  ///< absent: of a version before
  bool self_service = false;           ///< begun by the phone, not scheduled by an administrator
  std::string created_by{};            ///< an administrator's name, or the device's for self-service
  TimePoint created_at{};
  TimePoint completes_by{};
  std::optional<TimePoint> finished_at{};
  std::optional<Reason> reason{};  ///< why it failed, expired or was cancelled
  std::string message{};           ///< the same in words, with what the phone or the administrator said

  Bytes string_mac{};        ///< only while open, and only for kString
  int string_digits = 0;     ///< how many digits the string has
  int certificates = 0;      ///< issued in this operation so far
  int failures = 0;          ///< times the authenticated phone could not generate its key
  std::int64_t session = 0;  ///< how often a phone has begun it: of two sessions the later one wins

  std::optional<CredentialKind> authenticated_by{};
  std::optional<Sha256> authenticated_certificate{};
  bool expired_mic = false;  ///< authenticated by an expired MIC that the anchor still lets count

  bool overdue(TimePoint now) const { return is_open(state) && now > completes_by; }
};

/// Cisco's words for the last operation of a phone, or for an attempt: "Upgrade Failed: Invalid Authentication String".
/// A phone whose operation was cancelled has none in Cisco's eyes: "None".
std::string cisco_status(OperationKind kind, OperationState state, std::optional<Reason> reason);
/// The same for an operation by itself, which is "Operation Cancelled" where it was: Cisco has no word for that.
std::string operation_status(OperationKind kind, OperationState state, std::optional<Reason> reason);

}  // namespace capf
