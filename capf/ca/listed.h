#pragma once

#include <string>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/ca/certificate.h"
#include "capf/ca/spki.h"
#include "capf/domain/trust_role.h"

namespace capf::ca {

/// A certificate that phones are to trust.
struct ListedCertificate {
  CertificateFacts facts;
  std::vector<std::string> warnings;  ///< in words: what phones are known to mind
};

/// Whether phones know signatures of lists and files by such a key: their headers have codes for RSA keys of 1024, 2048
/// and 4096 bits. Source: specs/phone-files.md 2.1.
bool can_sign_files(KeyType type, int bits);

/// Judges whether a certificate can have these roles in phones' trust lists: it has not expired, its key is one that
/// phones know, it may do more than sign certificates, and where it is to sign lists or files, its key is an RSA key of
/// a size that has a code in their headers. Errors: INVALID_CERTIFICATE with the fault in words.
Result<ListedCertificate> judge_listed(BytesView der, const TrustRoles& roles, TimePoint now);

}  // namespace capf::ca
