#pragma once

#include <memory>
#include <string>

#include <botan/rng.h>

#include "capf/base/bytes.h"
#include "capf/ca/key.h"
#include "capf/domain/certificate.h"
#include "capf/domain/issuer.h"
#include "capf/domain/policy.h"

namespace capf::ca {

/// An LSC is at most this large: phones have little room.
inline constexpr std::size_t kLargestLsc = 2048;
/// LSCs, CRLs and OCSP answers are valid from so long before they are made, for clocks that are behind.
inline constexpr std::chrono::minutes kBackdate{5};

/// The parts of an LSC. Only the key comes from the phone's request.
struct LscRequest {
  DeviceName device;
  std::string model;          ///< for SubjectForm::kCisco; empty: the plain form is used
  std::string serial_number;  ///< of the device, as in its MIC: "PID:CP-8861 SN:FCH18198CNQ"; may be empty
  Bytes public_key;           ///< SubjectPublicKeyInfo, DER; checked by check_key()
  TimePoint now;
  std::chrono::hours validity{0};
  SubjectForm form = SubjectForm::kPlain;
};

struct IssuedLsc {
  Bytes der;
  Bytes serial;  ///< 16 octets
  Sha256 sha256{};
  TimePoint not_before;
  TimePoint not_after;
  int shard = 0;  ///< of the issuer's CRL
};

/// One generation of the CAPF certificate with its key. Threads: any; signers are pooled inside.
class Issuer {
 public:
  /// @param status_url "http://HOST:PORT", the beginning of the CRL and OCSP addresses in the LSCs.
  /// Errors: INVALID_CONFIGURATION where key and certificate do not belong together or it is no CA certificate.
  static Result<std::unique_ptr<Issuer>> make(IssuerRecord record, std::unique_ptr<SigningKey> key,
                                              const std::string& status_url);
  virtual ~Issuer() = default;

  /// Builds, signs, parses the result and checks it against the profile.
  /// Errors: ISSUER_EXPIRED, TOKEN_UNAVAILABLE, CERTIFICATE_TOO_LARGE, CERTIFICATE_CHECK_FAILED, INTERNAL.
  virtual Result<IssuedLsc> issue(const LscRequest& request, Botan::RandomNumberGenerator& random) const = 0;
  virtual const IssuerRecord& record() const = 0;
  /// The key, for the other things that it signs: CRLs, and the certificate of the OCSP responder.
  virtual const SigningKey& key() const = 0;
  /// The certificate and the CAs above it, DER, as a phone gets them.
  virtual const std::vector<Bytes>& chain() const = 0;
};

}  // namespace capf::ca
