#include "capf/domain/trust_list.h"

#include <algorithm>

namespace capf {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The first number of four digits in a model: 7965 of "CP-7965G".
std::string_view series_number(std::string_view model) {
  while (!model.empty()) {
    const auto begin = static_cast<std::size_t>(std::find_if(model.begin(), model.end(), is_digit) - model.begin());
    model.remove_prefix(begin);
    const auto digits =
        static_cast<std::size_t>(std::find_if_not(model.begin(), model.end(), is_digit) - model.begin());
    if (digits == 4) return model.substr(0, 4);
    model.remove_prefix(digits);
  }
  return {};
}

}  // namespace

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
  if (wanted != FileDigest::kAuto) return wanted == FileDigest::kSha1 ? ListDigest::kSha1 : ListDigest::kSha512;
  const std::string_view number = series_number(model);
  for (const std::string_view series : {"69", "79", "89", "99"}) {
    if (number.starts_with(series)) return ListDigest::kSha1;
  }
  return ListDigest::kSha512;
}

}  // namespace capf
