#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/domain/device.h"

namespace capf {

/// RFC 5280 5.3.1 CRLReason. keyCompromise also blocks the device; certificateHold alone can be undone.
enum class RevocationReason : std::uint8_t {
  kUnspecified = 0,
  kKeyCompromise = 1,
  kCaCompromise = 2,
  kAffiliationChanged = 3,
  kSuperseded = 4,
  kCessationOfOperation = 5,
  kCertificateHold = 6,
  kPrivilegeWithdrawn = 9,
  kAaCompromise = 10,
};
inline constexpr std::array kRevocationReasons{
    RevocationReason::kUnspecified,     RevocationReason::kKeyCompromise,
    RevocationReason::kCaCompromise,    RevocationReason::kAffiliationChanged,
    RevocationReason::kSuperseded,      RevocationReason::kCessationOfOperation,
    RevocationReason::kCertificateHold, RevocationReason::kPrivilegeWithdrawn,
    RevocationReason::kAaCompromise};

/// RFC 5280's spelling: "keyCompromise".
std::string_view to_string(RevocationReason reason);
std::optional<RevocationReason> parse_revocation_reason(std::string_view text);
std::optional<RevocationReason> revocation_reason_from_code(int code);

/// The kind of a certificate on record.
enum class CertificateKind : std::uint8_t {
  kLsc,         ///< issued here
  kHandedOver,  ///< given by a phone in a troubleshoot; does not authenticate
};
std::string_view to_string(CertificateKind kind);
std::optional<CertificateKind> parse_certificate_kind(std::string_view text);

/// A certificate is in the first of these states that applies.
enum class CertificateState : std::uint8_t {
  kSuperseded,  ///< its successor, or its sibling of the same operation, was confirmed; revoked at once or after a
                ///< grace
  kRevoked,
  kExpired,
  kConfirmed,  ///< the phone reported that it has stored it
  kIssued,     ///< not yet confirmed
};
inline constexpr std::array kCertificateStates{CertificateState::kSuperseded, CertificateState::kRevoked,
                                               CertificateState::kExpired, CertificateState::kConfirmed,
                                               CertificateState::kIssued};
std::string_view to_string(CertificateState state);
std::optional<CertificateState> parse_certificate_state(std::string_view text);

/// How the phone proved that it has the private key.
enum class Possession : std::uint8_t { kPkcs10, kNone };
std::string_view to_string(Possession possession);
std::optional<Possession> parse_possession(std::string_view text);

struct Certificate {
  std::int64_t id = 0;  ///< given by the store
  CertificateKind kind = CertificateKind::kLsc;
  Sha256 sha256{};             ///< of `der`
  Bytes serial;                ///< big-endian, as in the certificate
  std::int64_t issuer_id = 0;  ///< 0 for one that was handed over
  std::string issuer;          ///< its distinguished name, RFC 4514
  std::int64_t phone_id = 0;
  std::string device;  ///< as text: records outlive the phone
  std::int64_t operation_id = 0;
  Sha256 key_sha256{};  ///< of the SubjectPublicKeyInfo
  Bytes der;
  TimePoint not_before;
  TimePoint not_after;
  TimePoint issued_at;
  Possession possession = Possession::kNone;
  int shard = 0;  ///< of its issuer's CRL
  std::optional<TimePoint> confirmed_at;
  std::optional<TimePoint> superseded_at;
  std::optional<TimePoint> revoked_at;
  std::optional<RevocationReason> revocation_reason;

  CertificateState state(TimePoint now) const;
  bool on_hold() const { return revocation_reason == RevocationReason::kCertificateHold; }
  /// Revoked, and no hold: never undone.
  bool revoked_for_good() const { return revoked_at && !on_hold(); }
  /// *Valid LSC on record*: confirmed, unexpired, not revoked, not superseded.
  bool valid(TimePoint now) const;
  /// Whether this share of its life is over. @param percent 67 to 95
  bool due_for_renewal(TimePoint now, int percent) const;
};

/// The phone's history of our LSCs.
struct LscHistory {
  bool valid = false;           ///< one is valid as by Certificate::valid()
  bool ever_confirmed = false;  ///< the phone once confirmed one; it may have ended or been revoked since
};

}  // namespace capf
