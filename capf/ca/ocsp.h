#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <botan/rng.h>

#include "capf/ca/key.h"
#include "capf/domain/issuer.h"
#include "capf/domain/revocation.h"

// The Online Certificate Status Protocol, RFC 6960, as RFC 5019 profiles it; nonces, RFC 9654. Encoded by OpenSSL.

namespace capf::ca {

inline constexpr std::size_t kLargestOcspRequest = 8192;
inline constexpr int kMostOcspSerials = 20;  ///< in one request
inline constexpr std::size_t kLongestOcspNonce = 128;

/// RFC 6960 4.2.1 OCSPResponseStatus, those that carry no answer.
enum class OcspError : std::uint8_t { kMalformedRequest = 1, kInternalError = 2, kTryLater = 3, kUnauthorized = 6 };
Bytes encode_ocsp_error(OcspError error);

/// A request, as a stranger sent it. Threads: one.
class OcspRequest {
 public:
  /// One certificate that the request asks about.
  struct CertId {
    int hash = 0;  ///< OpenSSL's number of the algorithm
    Bytes issuer_name_hash;
    Bytes issuer_key_hash;
    std::optional<SerialNumber> serial;  ///< absent where this site never issues such a number
  };

  /// Nothing where it is malformed: not DER, larger than kLargestOcspRequest, without serial numbers or with more than
  /// kMostOcspSerials, or with a nonce that has no or more than kLongestOcspNonce octets.
  static std::optional<OcspRequest> parse(BytesView der);
  OcspRequest(OcspRequest&&) noexcept;
  OcspRequest& operator=(OcspRequest&&) noexcept;
  ~OcspRequest();

  const std::vector<CertId>& ids() const { return ids_; }
  bool has_nonce() const { return has_nonce_; }

 private:
  friend class OcspSigner;
  struct Parsed;
  OcspRequest();

  std::unique_ptr<Parsed> parsed_;
  std::vector<CertId> ids_;
  bool has_nonce_ = false;
};

/// The status of one certificate in the request.
struct OcspStatus {
  enum class State : std::uint8_t { kGood, kRevoked, kUnknown };
  State state = State::kUnknown;
  TimePoint revoked_at;
  RevocationReason reason = RevocationReason::kUnspecified;
};

/// A key on P-256, in memory alone, with a certificate by which an issuer lets it answer: id-kp-OCSPSigning and
/// id-pkix-ocsp-nocheck (RFC 6960 4.2.2.2). Threads: any.
class OcspSigner {
 public:
  /// @param issuer the certificate of `key`
  /// Errors: ISSUER_EXPIRED, INTERNAL, CERTIFICATE_CHECK_FAILED.
  static Result<std::shared_ptr<const OcspSigner>> make(const IssuerRecord& issuer, const SigningKey& key,
                                                        TimePoint now, std::chrono::hours validity,
                                                        Botan::RandomNumberGenerator& random);
  ~OcspSigner();

  std::int64_t issuer_id() const { return issuer_id_; }
  const Bytes& certificate() const { return certificate_; }
  const Bytes& public_key() const { return public_key_; }  ///< SubjectPublicKeyInfo, DER
  TimePoint renew_at() const { return renew_at_; }         ///< when half of its life is over
  bool due(TimePoint now) const { return now >= renew_at_; }
  /// Whether the id is of this issuer, by SHA-1 or SHA-256.
  bool answers_for(const OcspRequest::CertId& id) const;

  /// The answer to a request, in DER: one status for each of its ids. Its thisUpdate lies up to five minutes before
  /// `produced_at`, for relying parties whose clocks are behind, and never before a revocation that it reports.
  Result<Bytes> sign(const OcspRequest& request, std::span<const OcspStatus> statuses, TimePoint produced_at,
                     TimePoint next_update) const;

 private:
  struct Keys;
  OcspSigner();

  std::int64_t issuer_id_ = 0;
  Bytes certificate_;
  Bytes public_key_;
  TimePoint renew_at_;
  Bytes name_sha1_;
  Bytes name_sha256_;
  Bytes key_sha1_;
  Bytes key_sha256_;
  std::unique_ptr<Keys> keys_;
};

}  // namespace capf::ca
