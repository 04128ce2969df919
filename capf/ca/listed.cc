#include "capf/ca/listed.h"

#include <exception>
#include <utility>

#include "capf/ca/asn1.h"
#include "capf/ca/botan.h"
#include "capf/ca/name.h"

namespace capf::ca {
namespace {

/// The attributes that readers of lists want, and their names.
constexpr std::pair<const char*, const char*> kWanted[]{{kCommonName, "CN"}, {"2.5.4.10", "O"}, {"2.5.4.11", "OU"}};
/// The largest RSA key that phones are known to take in a list.
constexpr int kLargestKnown = 2048;
constexpr int kLeastBits = 1024;

tl::unexpected<Error> refuse(std::string words) { return fail(Reason::kInvalidCertificate, std::move(words)); }

Status check_signer(const PublicKeyOutline& key, const TrustRoles& roles) {
  if (key.type == KeyType::kEc) {
    if (!has_role(roles, TrustRole::kSast)) return {};  // a server of files over HTTPS has an EC key
    return refuse("phones know signatures of lists by RSA keys alone, and it has an EC key: it cannot be sast");
  }
  const bool signs =
      has_role(roles, TrustRole::kSast) || has_role(roles, TrustRole::kTftp) || has_role(roles, TrustRole::kCcmTftp);
  if (!signs || can_sign_files(key.type, key.bits)) return {};
  return refuse("it has an RSA key of " + std::to_string(key.bits) +
                " bits, and what signs lists or files has 1024, 2048 or 4096: the files have no code for others");
}

/// Whether its keyUsage allows nothing but to sign certificates and CRLs.
Result<bool> is_ca_only(BytesView der) {
  try {
    const auto usage = bits_of(parse_botan(der).constraints());
    constexpr unsigned kOthers = kDigitalSignature | kKeyEncipherment | kKeyAgreement;
    return usage != 0 && (usage & kOthers) == 0;
  } catch (const std::exception& error) {
    return fail(Reason::kInvalidCertificate, "it cannot be read", error.what());
  }
}

std::vector<std::string> warnings_of(const CertificateOutline& outline, const PublicKeyOutline& key) {
  std::vector<std::string> warnings;
  const auto subject = read_name(outline.subject).value_or(std::vector<NameAttribute>{});
  std::string lacks;
  for (const auto& [oid, name] : kWanted) {
    if (values_of(subject, oid).empty()) lacks.append(lacks.empty() ? "" : " and ").append(name);
  }
  if (!lacks.empty()) warnings.push_back("its subject lacks " + lacks + ", which some phones want in their lists");
  if (key.type == KeyType::kRsa && key.bits > kLargestKnown) {
    warnings.push_back("phones are known to take RSA keys of up to 2048 bits, and it has " + std::to_string(key.bits));
  }
  return warnings;
}

}  // namespace

bool can_sign_files(KeyType type, int bits) {
  return type == KeyType::kRsa && (bits == 1024 || bits == 2048 || bits == 4096);
}

Result<ListedCertificate> judge_listed(BytesView der, const TrustRoles& roles, TimePoint now) {
  if (roles.empty()) return fail(Reason::kInvalidRequest, "a certificate has one role at least");
  auto facts = read_certificate(der);
  if (!facts) return fail(Reason::kInvalidCertificate, facts.error().message, facts.error().cause);
  if (facts->not_after <= now) return refuse("it expired at " + to_rfc3339(facts->not_after));
  const auto outline = read_outline(der);
  if (!outline) return refuse("it cannot be read");
  const auto key = read_spki(outline->public_key);
  if (!key) return refuse(key.error().message);
  if (key->type == KeyType::kRsa && key->bits < kLeastBits) {
    return refuse("its RSA key has " + std::to_string(key->bits) + " bits, and 1024 are the least");
  }
  CAPF_TRY(check_signer(*key, roles));
  CAPF_LET(const bool ca_only, is_ca_only(der));
  if (ca_only) return refuse("its keyUsage lets it sign certificates and nothing else: it is a CA's alone");
  std::vector<std::string> warnings = warnings_of(*outline, *key);
  if (facts->not_before > now) warnings.push_back("it is valid only from " + to_rfc3339(facts->not_before) + " on");
  return ListedCertificate{*std::move(facts), std::move(warnings)};
}

}  // namespace capf::ca
