#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/ca/build.h"
#include "capf/domain/device.h"
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

  bool operator==(const LscRequest&) const = default;
};

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
