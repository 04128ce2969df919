#include "capf/domain/issuer.h"

namespace capf {

std::string_view to_string(IssuerState state) {
  switch (state) {
    case IssuerState::kNext: return "next";
    case IssuerState::kActive: return "active";
    case IssuerState::kFormer: return "former";
    case IssuerState::kRetired: return "retired";
  }
  CAPF_INVARIANT(false);
}

std::string_view to_string(TrustStoreName store) {
  switch (store) {
    case TrustStoreName::kMic: return "mic";
    case TrustStoreName::kLsc: return "lsc";
  }
  CAPF_INVARIANT(false);
}

std::optional<TrustStoreName> parse_trust_store_name(std::string_view text) {
  if (text == "mic") return TrustStoreName::kMic;
  if (text == "lsc") return TrustStoreName::kLsc;
  return std::nullopt;
}

}  // namespace capf
