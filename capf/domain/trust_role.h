#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace capf {

/// The purpose for which a phone trusts a certificate. The codes are those of phones' trust lists and of the Trust
/// Verification Service; those between are not known, and are never written.
enum class TrustRole : std::uint8_t {
  kSast = 0,     ///< signs trust lists
  kCcm = 1,      ///< SIP and SCCP over TLS
  kCcmTftp = 2,  ///< the same, and signs files
  kTftp = 3,     ///< RSA: signs files; EC: the server of files over HTTPS
  kCapf = 4,
  kAppServer = 7,  ///< services over HTTPS
  kTvs = 21,
};

inline constexpr std::array<TrustRole, 7> kTrustRoles{TrustRole::kSast, TrustRole::kCcm,  TrustRole::kCcmTftp,
                                                      TrustRole::kTftp, TrustRole::kCapf, TrustRole::kAppServer,
                                                      TrustRole::kTvs};

/// Each role once, in the order of their codes.
using TrustRoles = std::vector<TrustRole>;

/// "sast", "ccm", "ccm+tftp", "tftp", "capf", "app-server", "tvs"
std::string_view to_string(TrustRole role);
std::optional<TrustRole> parse_trust_role(std::string_view text);
/// The role of a code of the database or of a list; nothing for a code that is not known.
std::optional<TrustRole> trust_role_of(int code);
bool has_role(const TrustRoles& roles, TrustRole role);

}  // namespace capf
