#include "capf/domain/expiry.h"

namespace capf {

std::string_view to_string(ExpiryKind kind) {
  switch (kind) {
    case ExpiryKind::kIssuer: return "issuer";
    case ExpiryKind::kAdministrator: return "administrator";
    case ExpiryKind::kSiteCa: return "site_ca";
    case ExpiryKind::kServer: return "server";
    case ExpiryKind::kWire: return "wire";
    case ExpiryKind::kWireEc: return "wire-ec";
    case ExpiryKind::kTvs: return "tvs";
    case ExpiryKind::kListSigner: return "list-signer";
    case ExpiryKind::kRecoverySigner: return "recovery-signer";
    case ExpiryKind::kFileSigner: return "file-signer";
    case ExpiryKind::kFileServer: return "file-server";
    case ExpiryKind::kTrustList: return "trust-list";
    case ExpiryKind::kOcsp: return "ocsp";
  }
  CAPF_INVARIANT(false);
}

std::optional<ExpiryKind> parse_expiry_kind(std::string_view text) {
  for (const ExpiryKind kind :
       {ExpiryKind::kIssuer, ExpiryKind::kAdministrator, ExpiryKind::kSiteCa, ExpiryKind::kServer, ExpiryKind::kWire,
        ExpiryKind::kWireEc, ExpiryKind::kTvs, ExpiryKind::kListSigner, ExpiryKind::kRecoverySigner,
        ExpiryKind::kFileSigner, ExpiryKind::kFileServer, ExpiryKind::kOcsp, ExpiryKind::kTrustList}) {
    if (to_string(kind) == text) return kind;
  }
  return std::nullopt;
}

}  // namespace capf
