#pragma once

#include <span>
#include <string>
#include <vector>

#include "capf/domain/mode.h"
#include "capf/domain/trust_list.h"
#include "capf/domain/trusted_certificate.h"
#include "capf/files/trust_list.h"
#include "capf/service/phone_keys.h"

// The certificates that belong in a trust list, pure.

namespace capf::service {

inline files::ListKind list_kind(TrustListKind kind) {
  return kind == TrustListKind::kItl ? files::ListKind::kItl : files::ListKind::kCtl;
}
inline files::Digest list_digest(ListDigest digest) {
  return digest == ListDigest::kSha1 ? files::Digest::kSha1 : files::Digest::kSha512;
}

/// All that decides a list's content.
struct ListInputs {
  std::vector<OwnCertificate> own;
  std::vector<TrustedCertificate> trusted;  ///< of others, for lists
  Sha256 signer{};                          ///< of an own certificate
  std::optional<Sha256> next_signer{};
  SiteMode site = SiteMode::kNonsecure;
  bool released = false;
};

struct ListContents {
  std::vector<files::Listed> listed;  ///< the signer first
  bool https = false;                 ///< whether phones may fetch their configuration over HTTPS
  std::vector<std::string> left_out;  ///< certificates that belong in it and cannot be, in words
};

/// Certificates that have ended or are blocked are left out, but for own ones in use. The second signer is the next one
/// while the signer is replaced, else the recovery signer, unless it has ended: it must not keep all lists back.
/// Errors: INVALID_CERTIFICATE.
Result<ListContents> contents_of(TrustListKind kind, const ListInputs& inputs, TimePoint now);

/// Whether a list says just that.
bool says(const files::TrustList& list, const ListContents& contents);

/// The own certificate with this SHA-256; null where there is none.
const OwnCertificate* find_own(const std::vector<OwnCertificate>& own, const Sha256& certificate);
/// The name of the certificate of the recovery signer, whose key is not on this machine.
inline constexpr std::string_view kRecoverySigner = "recovery-signer";

}  // namespace capf::service
