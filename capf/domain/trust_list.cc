#include "capf/domain/trust_list.h"

namespace capf {

std::string_view to_string(TrustListKind kind) { return kind == TrustListKind::kItl ? "itl" : "ctl"; }

std::optional<TrustListKind> parse_trust_list_kind(std::string_view text) {
  if (text == "itl") return TrustListKind::kItl;
  if (text == "ctl") return TrustListKind::kCtl;
  return std::nullopt;
}

std::string_view to_string(ListDigest digest) { return digest == ListDigest::kSha1 ? "sha1" : "sha512"; }

std::optional<ListDigest> parse_list_digest(std::string_view text) {
  if (text == "sha1") return ListDigest::kSha1;
  if (text == "sha512") return ListDigest::kSha512;
  return std::nullopt;
}

ListDigest digest_of(FileDigest wanted, std::string_view model) {
  return file_digest_of(wanted, model) == FileDigest::kSha1 ? ListDigest::kSha1 : ListDigest::kSha512;
}

}  // namespace capf
