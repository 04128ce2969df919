#pragma once

#include <memory>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/base/bytes.h"
#include "capf/ca/key.h"
#include "capf/ca/profile.h"
#include "capf/domain/certificate.h"
#include "capf/domain/issuer.h"

namespace capf::ca {

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
