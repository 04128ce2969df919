#pragma once

#include <string>

#include "capf/ca/build.h"
#include "capf/ca/issuer.h"

namespace capf::ca {

/// The common fields of one issuer's LSCs.
struct LscProfile {
  Botan::X509_Certificate issuer;
  TimePoint not_before;  ///< of the issuer
  TimePoint not_after;
  std::int64_t issuer_id = 0;
  int shards = 1;
  std::string status_url;  ///< without a slash at its end
};

/// The issuer's own subject with another common name, and of the rest only O, OU, L, ST, C: name constraints that allow
/// the issuer's own name mostly allow such a name.
Botan::X509_DN subject_below(const Botan::X509_DN& issuer, const std::string& common_name);

/// The LSC for a request: every field comes from the profile, only the key from the phone.
/// Errors: ISSUER_EXPIRED, INTERNAL.
Result<CertificatePlan> plan_lsc(const LscProfile& profile, const LscRequest& request, Bytes serial);
/// The address of the CRL of a shard, as in the LSCs and in the CRL itself.
/// @param status_url without a slash at its end
std::string crl_url(const std::string& status_url, std::int64_t issuer_id, int shard);
/// The shard of the CRL that a serial number belongs to.
int shard_of(BytesView serial, int shards);

/// Checks that the signed certificate is the LSC that was planned, and may leave the server: no CA certificate, valid
/// within its issuer's time, and not larger than kLargestLsc. Errors: CERTIFICATE_TOO_LARGE, CERTIFICATE_CHECK_FAILED.
Status check_lsc(BytesView der, const CertificatePlan& plan, const LscProfile& profile,
                 const Botan::Public_Key& issuer_key);

}  // namespace capf::ca
