#pragma once

#include <string>
#include <vector>

#include <botan/pkix_types.h>
#include <botan/rng.h>
#include <botan/x509cert.h>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/ca/botan.h"
#include "capf/ca/signature.h"

namespace capf::ca {

/// The complete contents of a certificate to be made: it is built from this, and checked against this after signing.
struct CertificatePlan {
  Bytes serial;
  Botan::X509_DN issuer;
  Botan::X509_DN subject;
  Bytes public_key;      ///< SubjectPublicKeyInfo, DER
  TimePoint not_before;  ///< whole seconds
  TimePoint not_after;
  bool ca = false;                             ///< then with a path length of 0
  unsigned key_usage = 0;                      ///< of KeyUsageBit
  std::vector<Botan::OID> extended_key_usage;  ///< absent from the certificate where empty, like the fields below
  Bytes authority_key_id;
  std::string crl_url;
  std::string ocsp_url;  ///< with issuer_url, or neither
  std::string issuer_url;
  bool ocsp_nocheck = false;       ///< RFC 6960 4.2.2.2.1: a responder, whose own status is not to be checked
  std::vector<std::string> hosts;  ///< subject alternative names: DNS names and addresses
};

/// RFC 5280 4.2.1.3 and RFC 5480 3: digitalSignature, with keyEncipherment for RSA and keyAgreement for EC.
Result<unsigned> end_entity_usage(BytesView public_key);
/// 16 random octets: positive, and never shorter.
Bytes make_serial(Botan::RandomNumberGenerator& random);

/// Builds and signs. Errors: INTERNAL, INVALID_CONFIGURATION for a host that is neither a name nor an address.
Result<Bytes> build_certificate(const CertificatePlan& plan, CertificateSigner& signer,
                                Botan::RandomNumberGenerator& random);
/// Parses the signed certificate, and checks every field and the signature against the plan.
/// Errors: CERTIFICATE_CHECK_FAILED, with the difference as its cause.
Status check_certificate(BytesView der, const CertificatePlan& plan, const Botan::Public_Key& issuer_key);

}  // namespace capf::ca
