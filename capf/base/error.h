#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

namespace capf {

/// A broken invariant: says where, and aborts.
[[noreturn]] void broken_invariant(const char* condition, const char* file, int line);

#define CAPF_INVARIANT(condition) \
  ((condition) ? static_cast<void>(0) : ::capf::broken_invariant(#condition, __FILE__, __LINE__))

/// The ways in which a caller can go on after an error. Every reason has exactly one.
enum class Code : std::uint8_t {
  kInvalidArgument,     ///< correct the request; repeating it is useless
  kUnauthenticated,     ///< come with another credential
  kPermissionDenied,    ///< ask an administrator with another role
  kNotFound,            ///< the thing does not exist
  kAlreadyExists,       ///< the thing exists already
  kFailedPrecondition,  ///< change the state of the thing first
  kConflict,            ///< another transaction changed it meanwhile: read again
  kUnavailable,         ///< come again later
  kOutcomeUnknown,      ///< it may have happened: come again and find out
  kInternal,            ///< a fault of this server
};

/// Whether the same call may succeed when it is made again, without a correction by the caller or an administrator.
constexpr bool may_be_repeated(Code code) {
  switch (code) {
    case Code::kConflict:
    case Code::kUnavailable:
    case Code::kOutcomeUnknown: return true;
    case Code::kInvalidArgument:
    case Code::kUnauthenticated:
    case Code::kPermissionDenied:
    case Code::kNotFound:
    case Code::kAlreadyExists:
    case Code::kFailedPrecondition:
    case Code::kInternal: return false;
  }
  CAPF_INVARIANT(false);
}

/// Whether the server or what it depends on is the cause, not the caller. A conflict is nobody's fault.
constexpr bool is_servers_fault(Code code) {
  switch (code) {
    case Code::kUnavailable:
    case Code::kOutcomeUnknown:
    case Code::kInternal: return true;
    case Code::kInvalidArgument:
    case Code::kUnauthenticated:
    case Code::kPermissionDenied:
    case Code::kNotFound:
    case Code::kAlreadyExists:
    case Code::kFailedPrecondition:
    case Code::kConflict: return false;
  }
  CAPF_INVARIANT(false);
}

// Every reason of the product, once: enumerator, stable spelling, code, default words for people.
// The spelling never changes: scripts, alerts and the audit rely on it. INTERNAL stays last.
#define CAPF_REASONS(X)                                                                                                \
  /* what was asked is malformed */                                                                                    \
  X(kInvalidRequest, "INVALID_REQUEST", kInvalidArgument, "the request is malformed")                                  \
  X(kInvalidDeviceName, "INVALID_DEVICE_NAME", kInvalidArgument,                                                       \
    "a device name has 1 to 50 letters, digits, '.', '_' or '-'")                                                      \
  X(kInvalidAuthString, "INVALID_AUTH_STRING", kInvalidArgument, "an authentication string has 4 to 10 digits")        \
  X(kInvalidDeadline, "INVALID_DEADLINE", kInvalidArgument, "the deadline must be 1 minute to 90 days ahead")          \
  X(kInvalidKeyPolicy, "INVALID_KEY_POLICY", kInvalidArgument, "this key type or size is not offered")                 \
  X(kInvalidPattern, "INVALID_PATTERN", kInvalidArgument, "a pattern has letters, digits, '.', '_', '-' and '*'")      \
  X(kInvalidName, "INVALID_NAME", kInvalidArgument, "a name has 1 to 64 letters, digits, '.', '_', '-' or '@'")        \
  X(kInvalidDigestUser, "INVALID_DIGEST_USER", kInvalidArgument,                                                       \
    "a digest user has 1 to 64 printable characters, no ':' among them, and no blank at either end")                   \
  X(kInvalidPassword, "INVALID_PASSWORD", kInvalidArgument, "a password has 8 to 30 printable characters")             \
  X(kInvalidSerial, "INVALID_SERIAL", kInvalidArgument, "a serial number has 1 to 40 hexadecimal digits")              \
  X(kInvalidTime, "INVALID_TIME", kInvalidArgument, "a time is written as 2030-12-31T23:59:59Z")                       \
  X(kInvalidPage, "INVALID_PAGE", kInvalidArgument, "the page token is not one of ours")                               \
  X(kInvalidSelection, "INVALID_SELECTION", kInvalidArgument, "a selection names at least one property")               \
  X(kInvalidWindow, "INVALID_WINDOW", kInvalidArgument, "this is no window, or no time zone")                          \
  X(kInvalidSetting, "INVALID_SETTING", kInvalidArgument, "no such setting, or no such value of it")                   \
  X(kInvalidCertificate, "INVALID_CERTIFICATE", kInvalidArgument, "this is not an acceptable X.509 certificate")       \
  X(kInvalidCertificationRequest, "INVALID_CERTIFICATION_REQUEST", kInvalidArgument,                                   \
    "this is not a PKCS #10 request in DER")                                                                           \
  X(kRequestTooLarge, "REQUEST_TOO_LARGE", kInvalidArgument, "the request is too large")                               \
  X(kRequestSignature, "REQUEST_SIGNATURE", kInvalidArgument, "the request is not signed by the key that it offers")   \
  X(kInvalidConfiguration, "INVALID_CONFIGURATION", kInvalidArgument, "the configuration is not usable")               \
  X(kMessageMalformed, "MESSAGE_MALFORMED", kInvalidArgument, "the phone's message breaks the protocol")               \
  X(kMessageUnexpected, "MESSAGE_UNEXPECTED", kInvalidArgument, "the phone's message does not fit the dialogue")       \
  X(kHttp2Limit, "HTTP2_LIMIT", kInvalidArgument, "the connection asks for more of HTTP/2 than is allowed")            \
  X(kFileMalformed, "FILE_MALFORMED", kInvalidArgument, "this is no trust list or signed file as phones take them")    \
  X(kFileSignature, "FILE_SIGNATURE", kInvalidArgument, "the file is not signed by the one who must have signed it")   \
  X(kFileNameMismatch, "FILE_NAME_MISMATCH", kInvalidArgument, "the file was signed under another name")               \
  X(kPhoneConfigurationMalformed, "PHONE_CONFIGURATION_MALFORMED", kInvalidArgument,                                   \
    "this is no configuration file of a phone")                                                                        \
  /* the key that a phone offers */                                                                                    \
  X(kKeyEncoding, "KEY_ENCODING", kInvalidArgument, "the public key is not encoded as it must be")                     \
  X(kKeyTypeRefused, "KEY_TYPE_REFUSED", kInvalidArgument, "the key is neither RSA nor P-256, P-384 or P-521")         \
  X(kKeySizeRefused, "KEY_SIZE_REFUSED", kInvalidArgument, "the site does not take keys of this size")                 \
  X(kKeySizeMismatch, "KEY_SIZE_MISMATCH", kInvalidArgument, "the operation asks for a key of another type or size")   \
  X(kKeyExponent, "KEY_EXPONENT", kInvalidArgument, "the public exponent is not acceptable")                           \
  X(kKeySmallFactor, "KEY_SMALL_FACTOR", kInvalidArgument, "the modulus has a small factor")                           \
  X(kKeyClosePrimes, "KEY_CLOSE_PRIMES", kInvalidArgument, "the primes are too close to each other")                   \
  X(kKeyRoca, "KEY_ROCA", kInvalidArgument, "the key was made by a generator with the ROCA fault")                     \
  X(kKeyListed, "KEY_LISTED", kInvalidArgument, "the key is on the site's list of weak keys")                          \
  X(kKeyNotOnCurve, "KEY_NOT_ON_CURVE", kInvalidArgument, "the point is not on the curve")                             \
  X(kKeyReserved, "KEY_RESERVED", kInvalidArgument,                                                                    \
    "the key belongs to an issuer, a server, an administrator or a MIC")                                               \
  X(kKeyOfAnotherDevice, "KEY_OF_ANOTHER_DEVICE", kInvalidArgument, "the key is or was another device's")              \
  X(kKeyCompromised, "KEY_COMPROMISED", kInvalidArgument, "the key was revoked as compromised")                        \
  /* who somebody is; strangers hear the first one only */                                                             \
  X(kAuthenticationFailed, "AUTHENTICATION_FAILED", kUnauthenticated, "authentication failed")                         \
  X(kCredentialMissing, "CREDENTIAL_MISSING", kUnauthenticated, "no credential was presented")                         \
  X(kCredentialMode, "CREDENTIAL_MODE", kUnauthenticated, "the operation asks for another way to authenticate")        \
  X(kAuthStringMissing, "AUTH_STRING_MISSING", kUnauthenticated, "no authentication string was given")                 \
  X(kAuthStringMismatch, "AUTH_STRING_MISMATCH", kUnauthenticated, "the authentication string is wrong")               \
  X(kAuthStringLocked, "AUTH_STRING_LOCKED", kUnauthenticated,                                                         \
    "authentication by string is locked for this device after too many wrong strings")                                 \
  X(kAuthStringExhausted, "AUTH_STRING_EXHAUSTED", kUnauthenticated,                                                   \
    "the operation's limit of wrong authentication strings is used up")                                                \
  X(kAddressLimited, "ADDRESS_LIMITED", kUnauthenticated, "too many wrong authentication strings from this address")   \
  X(kNullStringNetwork, "NULL_STRING_NETWORK", kUnauthenticated, "null string is not allowed from this address")       \
  X(kCertificateMalformed, "CERTIFICATE_MALFORMED", kUnauthenticated, "the certificate cannot be read")                \
  X(kCertificateDates, "CERTIFICATE_DATES", kUnauthenticated,                                                          \
    "the certificate's dates are not written as RFC 5280 asks, or lie before 1950")                                    \
  X(kCertificateUnknownIssuer, "CERTIFICATE_UNKNOWN_ISSUER", kUnauthenticated,                                         \
    "the certificate does not chain to a trusted issuer")                                                              \
  X(kCertificateExpired, "CERTIFICATE_EXPIRED", kUnauthenticated, "the certificate has expired")                       \
  X(kCertificateNotYetValid, "CERTIFICATE_NOT_YET_VALID", kUnauthenticated, "the certificate is not valid yet")        \
  X(kCertificateWeak, "CERTIFICATE_WEAK", kUnauthenticated,                                                            \
    "the certificate's key or signature is weaker than its issuer's trust allows")                                     \
  X(kCertificateNameMismatch, "CERTIFICATE_NAME_MISMATCH", kUnauthenticated,                                           \
    "the certificate belongs to another device")                                                                       \
  X(kCertificateOutsideAnchor, "CERTIFICATE_OUTSIDE_ANCHOR", kUnauthenticated,                                         \
    "the certificate's issuer is not trusted for this device or model")                                                \
  X(kCertificateNotOnRecord, "CERTIFICATE_NOT_ON_RECORD", kUnauthenticated, "the certificate is not on record here")   \
  X(kCertificateRevoked, "CERTIFICATE_REVOKED", kUnauthenticated, "the certificate is revoked")                        \
  X(kCertificateBlocked, "CERTIFICATE_BLOCKED", kUnauthenticated, "the certificate, or its key, is blocked")           \
  X(kSupersededLscUsed, "SUPERSEDED_LSC_USED", kUnauthenticated, "a superseded LSC was used after its successor")      \
  X(kMicChanged, "MIC_CHANGED", kUnauthenticated, "the device authenticated with another MIC before")                  \
  X(kMicNotTaken, "MIC_NOT_TAKEN", kUnauthenticated, "a MIC is not taken while a valid LSC is on record")              \
  X(kLscNotTaken, "LSC_NOT_TAKEN", kUnauthenticated,                                                                   \
    "an LSC is not taken: this device has a MIC and it has precedence")                                                \
  X(kDeviceBlocked, "DEVICE_BLOCKED", kFailedPrecondition, "the device is blocked")                                    \
  X(kProofDowngraded, "PROOF_DOWNGRADED", kUnauthenticated, "the device proved its MIC fresh before, and now did not") \
  X(kProofInvalid, "PROOF_INVALID", kUnauthenticated, "the proof of possession is wrong")                              \
  X(kProofNotFresh, "PROOF_NOT_FRESH", kUnauthenticated, "the proof does not sign this session's id")                  \
  X(kClientCertificateRequired, "CLIENT_CERTIFICATE_REQUIRED", kUnauthenticated,                                       \
    "this port needs an administrator's client certificate")                                                           \
  X(kAdministratorUnknown, "ADMINISTRATOR_UNKNOWN", kUnauthenticated, "this certificate is no administrator's")        \
  X(kAdministratorDisabled, "ADMINISTRATOR_DISABLED", kUnauthenticated, "this administrator is disabled")              \
  X(kRoleDenied, "ROLE_DENIED", kPermissionDenied, "the administrator's role does not allow this")                     \
  X(kDeviceNameRefused, "DEVICE_NAME_REFUSED", kInvalidArgument, "the site has no devices of such names")              \
  X(kRecoveryWordRequired, "RECOVERY_WORD_REQUIRED", kPermissionDenied,                                                \
    "while the database is behind, only an administrator on the server's machine changes anything")                    \
  /* things that are not there, or there already */                                                                    \
  X(kUnknownDevice, "UNKNOWN_DEVICE", kNotFound, "no such device")                                                     \
  X(kUnknownCertificate, "UNKNOWN_CERTIFICATE", kNotFound, "no such certificate")                                      \
  X(kUnknownOperation, "UNKNOWN_OPERATION", kNotFound, "no such operation")                                            \
  X(kUnknownIssuer, "UNKNOWN_ISSUER", kNotFound, "no such issuer")                                                     \
  X(kUnknownAnchor, "UNKNOWN_ANCHOR", kNotFound, "no such trust anchor")                                               \
  X(kUnknownAdministrator, "UNKNOWN_ADMINISTRATOR", kNotFound, "no such administrator")                                \
  X(kUnknownProfile, "UNKNOWN_PROFILE", kNotFound, "no such profile")                                                  \
  X(kUnknownCampaign, "UNKNOWN_CAMPAIGN", kNotFound, "no such campaign")                                               \
  X(kUnknownTrustList, "UNKNOWN_TRUST_LIST", kNotFound, "no such trust list")                                          \
  X(kUnknownLine, "UNKNOWN_LINE", kNotFound, "no such line")                                                           \
  X(kUnknownDigestUser, "UNKNOWN_DIGEST_USER", kNotFound, "no such digest user")                                       \
  X(kUnknownParty, "UNKNOWN_PARTY", kNotFound, "no such trusted trunk or bridge")                                      \
  X(kUnknownService, "UNKNOWN_SERVICE", kNotFound, "no such service")                                                  \
  X(kDeviceExists, "DEVICE_EXISTS", kAlreadyExists, "the device exists already")                                       \
  X(kDeviceOtherCase, "DEVICE_OTHER_CASE", kAlreadyExists,                                                             \
    "there is a device whose name differs in the case of letters alone")                                               \
  X(kOperationPending, "OPERATION_PENDING", kAlreadyExists, "the device has an open operation already")                \
  X(kAnchorExists, "ANCHOR_EXISTS", kAlreadyExists, "the certificate is in a trust store already")                     \
  X(kIssuerExists, "ISSUER_EXISTS", kAlreadyExists, "the certificate is an issuer of this site already")               \
  X(kAdministratorExists, "ADMINISTRATOR_EXISTS", kAlreadyExists, "the administrator exists already")                  \
  X(kProfileExists, "PROFILE_EXISTS", kAlreadyExists, "the profile exists already")                                    \
  X(kCampaignExists, "CAMPAIGN_EXISTS", kAlreadyExists, "the campaign exists already")                                 \
  X(kDigestUserExists, "DIGEST_USER_EXISTS", kAlreadyExists, "the digest user exists already")                         \
  X(kSiteExists, "SITE_EXISTS", kAlreadyExists, "there is a site here already; it is never overwritten")               \
  /* the state of things does not allow it */                                                                          \
  X(kNoPendingOperation, "NO_PENDING_OPERATION", kFailedPrecondition, "nothing is pending for this device")            \
  X(kOperationKind, "OPERATION_KIND", kFailedPrecondition, "the pending operation is another one")                     \
  X(kOperationEnded, "OPERATION_ENDED", kFailedPrecondition, "the operation was cancelled or has ended meanwhile")     \
  X(kSessionReplaced, "SESSION_REPLACED", kFailedPrecondition, "a later session of this phone has taken over")         \
  X(kDeadlinePassed, "DEADLINE_PASSED", kFailedPrecondition, "the operation's deadline has passed")                    \
  X(kCertificateLimit, "CERTIFICATE_LIMIT", kFailedPrecondition, "too many certificates in one operation")             \
  X(kNothingToConfirm, "NOTHING_TO_CONFIRM", kFailedPrecondition, "this certificate does not wait for confirmation")   \
  X(kSelfServiceRefused, "SELF_SERVICE_REFUSED", kFailedPrecondition,                                                  \
    "the phone may not renew by itself now: nothing is scheduled")                                                     \
  X(kKeyGenerationFailed, "KEY_GENERATION_FAILED", kFailedPrecondition, "the phone could not generate its key")        \
  X(kPhoneRefused, "PHONE_REFUSED", kFailedPrecondition, "the phone refused to store or delete the certificate")       \
  X(kPhoneWithoutEc, "PHONE_WITHOUT_EC", kFailedPrecondition, "the phone's version of the protocol has no EC keys")    \
  X(kPhoneCommunication, "PHONE_COMMUNICATION", kFailedPrecondition,                                                   \
    "the phone went away or fell silent in the middle of its session")                                                 \
  X(kCertificateTooLarge, "CERTIFICATE_TOO_LARGE", kFailedPrecondition,                                                \
    "the LSC would be larger than phones can hold")                                                                    \
  X(kIssuerExpired, "ISSUER_EXPIRED", kFailedPrecondition, "the issuer's own certificate is not valid now")            \
  X(kIssuerActive, "ISSUER_ACTIVE", kFailedPrecondition, "the issuer is the active one")                               \
  X(kIssuerInUse, "ISSUER_IN_USE", kFailedPrecondition, "the issuer's certificates are still in use")                  \
  X(kIssuerRetired, "ISSUER_RETIRED", kFailedPrecondition, "the issuer is retired")                                    \
  X(kIssuerNotReady, "ISSUER_NOT_READY", kFailedPrecondition, "not every server has the issuer's key")                 \
  X(kAlreadyRevoked, "ALREADY_REVOKED", kFailedPrecondition, "the certificate is revoked already")                     \
  X(kAlreadyExpired, "ALREADY_EXPIRED", kFailedPrecondition, "the certificate has expired already")                    \
  X(kNotOnHold, "NOT_ON_HOLD", kFailedPrecondition, "the certificate is not on hold")                                  \
  X(kDeviceNotBlocked, "DEVICE_NOT_BLOCKED", kFailedPrecondition, "the device is not blocked")                         \
  X(kProfileInUse, "PROFILE_IN_USE", kFailedPrecondition, "phones have the profile")                                   \
  X(kProfileFixed, "PROFILE_FIXED", kFailedPrecondition, "the first profile cannot be changed")                        \
  X(kCampaignState, "CAMPAIGN_STATE", kFailedPrecondition, "the campaign is not in a state for this")                  \
  X(kPhoneInCampaign, "PHONE_IN_CAMPAIGN", kFailedPrecondition, "the phone is in another campaign")                    \
  X(kSettingsConflict, "SETTINGS_CONFLICT", kFailedPrecondition, "the settings contradict each other")                 \
  X(kEncryptedConfigNeedsRsa, "ENCRYPTED_CONFIG_NEEDS_RSA", kFailedPrecondition,                                       \
    "a configuration file can be encrypted for an RSA key only")                                                       \
  X(kModelCannot, "MODEL_CANNOT", kFailedPrecondition, "phones of this model cannot do this")                          \
  X(kNoCertificate, "NO_CERTIFICATE", kFailedPrecondition,                                                             \
    "the phone has no valid LSC, and nothing is scheduled that installs one")                                          \
  X(kStringCannotBeTyped, "STRING_CANNOT_BE_TYPED", kFailedPrecondition,                                               \
    "no authentication string can be typed on a phone whose settings are off")                                         \
  X(kSharedLineMixed, "SHARED_LINE_MIXED", kFailedPrecondition, "a line would have encrypted devices beside others")   \
  X(kRenewalTooEarly, "RENEWAL_TOO_EARLY", kFailedPrecondition,                                                        \
    "an administrator's certificate is renewed in the last third of its life")                                         \
  X(kLastAdministrator, "LAST_ADMINISTRATOR", kFailedPrecondition, "the last admin cannot be disabled")                \
  X(kDigestUserInUse, "DIGEST_USER_IN_USE", kFailedPrecondition, "the digest user is a phone's")                       \
  X(kPasswordNotKept, "PASSWORD_NOT_KEPT", kFailedPrecondition, "only HA1s of this password are kept")                 \
  X(kSecretBroken, "SECRET_BROKEN", kFailedPrecondition,                                                               \
    "a secret in the database does not decrypt: it was changed, or comes from another row")                            \
  X(kSecretsKeyNotReady, "SECRETS_KEY_NOT_READY", kFailedPrecondition,                                                 \
    "not every server has the next key for secrets")                                                                   \
  X(kCertificateRole, "CERTIFICATE_ROLE", kFailedPrecondition,                                                         \
    "the certificate cannot have this role in a trust list")                                                           \
  X(kNoFileSigner, "NO_FILE_SIGNER", kFailedPrecondition, "the site has no key that signs files for phones")           \
  X(kTrustListUnfit, "TRUST_LIST_UNFIT", kFailedPrecondition, "the trust list is not what phones need")                \
  X(kTrustListNotFollowed, "TRUST_LIST_NOT_FOLLOWED", kFailedPrecondition,                                             \
    "phones would not follow this trust list: its signer is not in the list that they have")                           \
  X(kTrustListNotFetched, "TRUST_LIST_NOT_FETCHED", kFailedPrecondition,                                               \
    "too few phones have fetched the trust list that has the certificate")                                             \
  X(kClockSkew, "CLOCK_SKEW", kUnavailable, "this server's clock is more than 60 s away from the database's")          \
  X(kIssuerKeyAbsent, "ISSUER_KEY_ABSENT", kUnavailable, "this server does not have the active issuer's key")          \
  X(kListSignerAbsent, "LIST_SIGNER_ABSENT", kUnavailable, "this server does not have the key that signs trust lists") \
  X(kSecretsKeyAbsent, "SECRETS_KEY_ABSENT", kUnavailable, "this server does not have the key of a secret")            \
  X(kStateNotWritable, "STATE_NOT_WRITABLE", kUnavailable,                                                             \
    "this server cannot write to its state directory, which is full or read-only")                                     \
  X(kTokenUnavailable, "TOKEN_UNAVAILABLE", kUnavailable, "the token that holds the key does not answer")              \
  X(kDatabaseBehind, "DATABASE_BEHIND", kUnavailable, "the database is behind what this site has signed")              \
  X(kCursorExpired, "CURSOR_EXPIRED", kFailedPrecondition,                                                             \
    "changes after this cursor are deleted already: look at everything again, and begin without a cursor")             \
  X(kSchemaMismatch, "SCHEMA_MISMATCH", kFailedPrecondition, "the database's schema is not this program's")            \
  X(kCrlWouldLoseEntries, "CRL_WOULD_LOSE_ENTRIES", kFailedPrecondition,                                               \
    "the next CRL would lose entries and is not published; 'capfctl site recover' brings them back")                   \
  X(kRecordBroken, "RECORD_BROKEN", kFailedPrecondition, "the record is not what was sealed")                          \
  X(kNoSite, "NO_SITE", kFailedPrecondition, "there is no site here; 'capfd init' makes one")                          \
  X(kSecretExposed, "SECRET_EXPOSED", kFailedPrecondition, "a secret file is open to its group or to everybody")       \
  X(kInsecureDatabase, "INSECURE_DATABASE", kFailedPrecondition, "a database over TCP needs sslmode=verify-full")      \
  X(kWrongPassphrase, "WRONG_PASSPHRASE", kFailedPrecondition, "the passphrase does not open the key")                 \
  X(kWrongPin, "WRONG_PIN", kFailedPrecondition,                                                                       \
    "the token refuses the PIN; it is not tried again before somebody has looked")                                     \
  X(kNothingToRecover, "NOTHING_TO_RECOVER", kFailedPrecondition, "the database is not behind what was signed")        \
  /* others, time and faults */                                                                                        \
  X(kChangedMeanwhile, "CHANGED_MEANWHILE", kConflict, "somebody else changed this meanwhile")                         \
  X(kSelectionChanged, "SELECTION_CHANGED", kConflict, "the selection is not what was counted before")                 \
  X(kDatabaseUnavailable, "DATABASE_UNAVAILABLE", kUnavailable, "the database cannot be reached")                      \
  X(kDatabaseReadOnly, "DATABASE_READ_ONLY", kUnavailable,                                                             \
    "the database is a standby: this server answers what can be read, and changes nothing")                            \
  X(kOverloaded, "OVERLOADED", kUnavailable, "the server is busy: come again in a moment")                             \
  X(kShuttingDown, "SHUTTING_DOWN", kUnavailable, "the server is stopping")                                            \
  X(kCallerGone, "CALLER_GONE", kUnavailable, "the caller did not wait for the answer")                                \
  X(kServerNotReached, "SERVER_NOT_REACHED", kUnavailable, "the server cannot be reached")                             \
  X(kCommitInDoubt, "COMMIT_IN_DOUBT", kOutcomeUnknown, "it is not known whether this was stored: try again")          \
  X(kCertificateCheckFailed, "CERTIFICATE_CHECK_FAILED", kInternal, "what was signed is not what was meant")           \
  X(kCrlCheckFailed, "CRL_CHECK_FAILED", kInternal, "the CRL is not what it must be")                                  \
  X(kInternal, "INTERNAL", kInternal, "internal error")

enum class Reason : std::uint8_t {
#define CAPF_REASON_ENUMERATOR(name, spelling, code, words) name,
  CAPF_REASONS(CAPF_REASON_ENUMERATOR)
#undef CAPF_REASON_ENUMERATOR
};

/// The stable spelling, e.g. "AUTH_STRING_MISMATCH".
std::string_view to_string(Reason reason);
std::string_view to_string(Code code);
/// The default words of the reason.
std::string_view words(Reason reason);
Code code_of(Reason reason);
/// The reason with that spelling, or kInternal for one that this build does not know.
Reason parse_reason(std::string_view spelling);

/// `reason` is stable, `message` may be shown to the caller, `cause` is for the log alone.
struct Error {
  Reason reason = Reason::kInternal;
  std::string message;
  std::string cause{};
  /// The true reason where `reason` hides it: for logs, metrics and the record, never for a stranger.
  std::optional<Reason> concealed{};

  /// With the reason's own words.
  static Error of(Reason reason) { return {reason, std::string(words(reason))}; }

  Reason true_reason() const { return concealed.value_or(reason); }

  Code code() const { return code_of(reason); }
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

/// An error with the reason's own words, or better ones.
tl::unexpected<Error> fail(Reason reason);
tl::unexpected<Error> fail(Reason reason, std::string message, std::string cause = {});
/// An error that another call answered, or that was kept.
tl::unexpected<Error> fail(Error error);
/// A fault of this server or of a library: the caller gets general words, the log the cause.
tl::unexpected<Error> fail_internal(std::string cause);

}  // namespace capf

#define CAPF_CONCAT_INNER(a, b) a##b
#define CAPF_CONCAT(a, b) CAPF_CONCAT_INNER(a, b)
/// Leaves the function with the error of `expression`, a Status or a Result whose value is not wanted.
#define CAPF_TRY(expression)                               \
  do {                                                     \
    if (auto capf_status = (expression); !capf_status) {   \
      return ::capf::fail(std::move(capf_status).error()); \
    }                                                      \
  } while (false)
/// CAPF_LET(auto phone, find(name)): declares `phone`, or leaves the function with the error.
#define CAPF_LET(declaration, expression) CAPF_LET_INNER(CAPF_CONCAT(capf_result_, __LINE__), declaration, expression)
#define CAPF_LET_INNER(result, declaration, expression)        \
  auto result = (expression);                                  \
  if (!result) return ::capf::fail(std::move(result).error()); \
  declaration = *std::move(result)
