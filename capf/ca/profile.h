#pragma once

#include <string>

#include "capf/ca/build.h"
#include "capf/ca/issuer.h"

namespace capf::ca {

/// What the LSCs of one issuer have in common.
struct LscProfile {
  Botan::X509_Certificate issuer;
  TimePoint not_before;  ///< of the issuer
  TimePoint not_after;
  std::int64_t issuer_id = 0;
  int shards = 1;
  std::string status_url;  ///< without a slash at its end
};

/// The issuer's own subject with another common name, and no more than O, OU, L, ST, C of it: what name constraints
/// allow the issuer itself they mostly allow such a name.
Botan::X509_DN subject_below(const Botan::X509_DN& issuer, const std::string& common_name);

/// The LSC for a request: every field of the profile, nothing of the phone's but its key.
/// Errors: ISSUER_EXPIRED, INTERNAL.
Result<CertificatePlan> plan_lsc(const LscProfile& profile, const LscRequest& request, Bytes serial);
/// Where the CRL of a shard is: what stands in the LSCs and in the CRL itself.
/// @param status_url without a slash at its end
std::string crl_url(const std::string& status_url, std::int64_t issuer_id, int shard);
/// The shard of the CRL that a serial number belongs to.
int shard_of(BytesView serial, int shards);

/// Whether what was signed is the LSC that was planned, and one that may leave at all: no CA certificate, in time
/// within its issuer's, and not larger than kLargestLsc. Errors: CERTIFICATE_TOO_LARGE, CERTIFICATE_CHECK_FAILED.
Status check_lsc(BytesView der, const CertificatePlan& plan, const LscProfile& profile,
                 const Botan::Public_Key& issuer_key);

}  // namespace capf::ca
