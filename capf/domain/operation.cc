#include "capf/domain/operation.h"

#include <algorithm>

namespace capf {
namespace {

/// The value of `all` with that spelling.
template <class Enum, std::size_t N>
std::optional<Enum> find_spelling(const std::array<Enum, N>& all, std::string_view text) {
  const auto found = std::find_if(all.begin(), all.end(), [&](Enum value) { return to_string(value) == text; });
  if (found == all.end()) return std::nullopt;
  return *found;
}

constexpr std::size_t index(OperationState state) { return static_cast<std::size_t>(state); }

// Rows from, columns to: pending, in_progress, issued, succeeded, failed, expired, cancelled.
constexpr std::array<std::array<bool, 7>, 7> kTransitions{{
    /* pending     */ {false, true, true, true, true, true, true},
    /* in_progress */ {false, true, true, true, true, true, true},
    /* issued      */ {false, true, true, true, true, true, true},
    /* succeeded   */ {false, false, false, false, false, false, false},
    /* failed      */ {false, false, false, false, false, false, false},
    /* expired     */ {false, false, false, false, false, false, false},
    /* cancelled   */ {false, false, false, false, false, false, false},
}};

std::string_view cisco_kind(OperationKind kind) {
  switch (kind) {
    case OperationKind::kInstall: return "Upgrade";
    case OperationKind::kDelete: return "Delete";
    case OperationKind::kTroubleshoot: return "Troubleshoot";
  }
  CAPF_INVARIANT(false);
}

/// Cisco's words after "Failed: "; empty where Cisco has none.
std::string_view cisco_failure(Reason reason) {
  switch (reason) {
    case Reason::kAuthStringMismatch:
    case Reason::kAuthStringMissing:
    case Reason::kAuthStringLocked:
    case Reason::kAuthStringExhausted:
    case Reason::kAddressLimited: return "Invalid Authentication String";
    case Reason::kCertificateNotOnRecord:
    case Reason::kSupersededLscUsed:
    case Reason::kLscNotTaken: return "Invalid LSC";
    case Reason::kCertificateMalformed:
    case Reason::kCertificateDates:
    case Reason::kCertificateUnknownIssuer:
    case Reason::kCertificateNameMismatch:
    case Reason::kCertificateOutsideAnchor:
    case Reason::kCertificateWeak:
    case Reason::kMicChanged:
    case Reason::kMicNotTaken: return "Invalid MIC";
    case Reason::kCredentialMissing:
    case Reason::kCredentialMode:
    case Reason::kNullStringNetwork:
    case Reason::kCertificateExpired:
    case Reason::kCertificateNotYetValid:
    case Reason::kCertificateRevoked:
    case Reason::kCertificateBlocked:
    case Reason::kDeviceBlocked:
    case Reason::kProofInvalid:
    case Reason::kProofNotFresh:
    case Reason::kProofDowngraded: return "Invalid Credentials";
    case Reason::kKeyGenerationFailed: return "Key Generation Failed/Timeout";
    case Reason::kDeadlinePassed: return "User Initiated Request Late/Timedout";
    case Reason::kPhoneRefused:
    case Reason::kPhoneCommunication:
    case Reason::kMessageMalformed:
    case Reason::kMessageUnexpected:
    case Reason::kInvalidDeviceName:
    case Reason::kInvalidRequest: return "Phone Communication Failure";
    case Reason::kPhoneWithoutEc: return "Phone's CAPF Version Has No EC";
    case Reason::kIssuerExpired:
    case Reason::kCertificateCheckFailed:
    case Reason::kInternal: return "CA Communication Failure";
    case Reason::kInvalidCertificationRequest:
    case Reason::kRequestSignature:
    case Reason::kKeyEncoding:
    case Reason::kKeyTypeRefused:
    case Reason::kKeySizeRefused:
    case Reason::kKeySizeMismatch:
    case Reason::kKeyExponent:
    case Reason::kKeySmallFactor:
    case Reason::kKeyClosePrimes:
    case Reason::kKeyRoca:
    case Reason::kKeyListed:
    case Reason::kKeyNotOnCurve:
    case Reason::kKeyReserved:
    case Reason::kKeyOfAnotherDevice:
    case Reason::kKeyCompromised:
    case Reason::kCertificateLimit:
    case Reason::kCertificateTooLarge: return "CA Rejected Connection";
    default: return "";  // a reason that no phone's attempt ends with
  }
}

constexpr std::string_view kOwnerLetters = "srpcf";  // in the order of kTermOwners

}  // namespace

std::string_view to_string(Term term) {
  switch (term) {
    case Term::kAuth: return "auth";
    case Term::kKeyOrder: return "key_order";
    case Term::kRsaBits: return "rsa_bits";
    case Term::kEcBits: return "ec_bits";
    case Term::kCompletesBy: return "completes_by";
    case Term::kLscValidity: return "lsc_validity_days";
    case Term::kLscSubject: return "lsc_subject";
  }
  CAPF_INVARIANT(false);
}

std::string_view to_string(TermOwner owner) {
  switch (owner) {
    case TermOwner::kSite: return "site";
    case TermOwner::kProfile: return "profile";
    case TermOwner::kPhone: return "phone";
    case TermOwner::kCommand: return "command";
    case TermOwner::kFormer: return "former";
  }
  CAPF_INVARIANT(false);
}

std::string to_letters(const TermOwners& owners) {
  std::string letters;
  for (const Term term : kTerms) letters += kOwnerLetters[static_cast<std::size_t>(owners[term])];
  return letters;
}

std::optional<TermOwners> parse_term_owners(std::string_view letters) {
  if (letters.size() != kTerms.size()) return std::nullopt;
  TermOwners owners;
  for (const Term term : kTerms) {
    const std::size_t place = kOwnerLetters.find(letters[static_cast<std::size_t>(term)]);
    if (place == std::string_view::npos) return std::nullopt;
    owners[term] = kTermOwners[place];
  }
  return owners;
}

std::string_view to_string(OperationKind kind) {
  switch (kind) {
    case OperationKind::kInstall: return "install";
    case OperationKind::kDelete: return "delete";
    case OperationKind::kTroubleshoot: return "troubleshoot";
  }
  CAPF_INVARIANT(false);
}

std::string_view to_string(OperationState state) {
  switch (state) {
    case OperationState::kPending: return "pending";
    case OperationState::kInProgress: return "in_progress";
    case OperationState::kIssued: return "issued";
    case OperationState::kSucceeded: return "succeeded";
    case OperationState::kFailed: return "failed";
    case OperationState::kExpired: return "expired";
    case OperationState::kCancelled: return "cancelled";
  }
  CAPF_INVARIANT(false);
}

std::string_view to_string(AuthMode mode) {
  switch (mode) {
    case AuthMode::kString: return "string";
    case AuthMode::kNull: return "null";
    case AuthMode::kLsc: return "lsc";
    case AuthMode::kMic: return "mic";
  }
  CAPF_INVARIANT(false);
}

std::string_view to_string(KeyOrder order) {
  switch (order) {
    case KeyOrder::kRsa: return "rsa";
    case KeyOrder::kEc: return "ec";
    case KeyOrder::kEcRsa: return "ec-rsa";
  }
  CAPF_INVARIANT(false);
}

std::string_view to_string(CredentialKind kind) {
  switch (kind) {
    case CredentialKind::kNone: return "none";
    case CredentialKind::kString: return "string";
    case CredentialKind::kOwnLsc: return "lsc";
    case CredentialKind::kForeignLsc: return "foreign_lsc";
    case CredentialKind::kMic: return "mic";
  }
  CAPF_INVARIANT(false);
}

std::optional<OperationKind> parse_operation_kind(std::string_view text) {
  return find_spelling(kOperationKinds, text);
}
std::optional<OperationState> parse_operation_state(std::string_view text) {
  return find_spelling(kOperationStates, text);
}
std::optional<AuthMode> parse_auth_mode(std::string_view text) { return find_spelling(kAuthModes, text); }
std::optional<KeyOrder> parse_key_order(std::string_view text) { return find_spelling(kKeyOrders, text); }
std::optional<CredentialKind> parse_credential_kind(std::string_view text) {
  return find_spelling(kCredentialKinds, text);
}

bool may_become(OperationState from, OperationState to) { return kTransitions[index(from)][index(to)]; }

Status KeyPolicy::check() const {
  const bool rsa = rsa_bits == 1024 || rsa_bits == 2048 || rsa_bits == 3072 || rsa_bits == 4096;
  const bool ec = ec_bits == 256 || ec_bits == 384 || ec_bits == 521;
  if (!rsa) return fail(Reason::kInvalidKeyPolicy, "RSA keys have 1024, 2048, 3072 or 4096 bits");
  if (!ec) return fail(Reason::kInvalidKeyPolicy, "EC keys have 256, 384 or 521 bits");
  return {};
}

std::string cisco_status(OperationKind kind, OperationState state, std::optional<Reason> reason) {
  const std::string name(cisco_kind(kind));
  if (state == OperationState::kSucceeded) return name + " Success";
  if (is_open(state) && !reason) return "Operation Pending";
  if (state == OperationState::kCancelled) return "None";
  if (state == OperationState::kExpired) reason = Reason::kDeadlinePassed;
  const std::string_view why = reason ? cisco_failure(*reason) : "";
  return why.empty() ? name + " Failed" : name + " Failed: " + std::string(why);
}

std::string operation_status(OperationKind kind, OperationState state, std::optional<Reason> reason) {
  return state == OperationState::kCancelled ? "Operation Cancelled" : cisco_status(kind, state, reason);
}

}  // namespace capf
