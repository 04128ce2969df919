#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "capf/base/bytes.h"

namespace capf {

/// An RSA modulus as lists of weak keys have it: see ca::read_blacklist().
using ListedModulus = std::array<std::uint8_t, 10>;

/// The digests by which a public key is known. Somebody who holds an RSA key holds every other one of its modulus, so a
/// modulus with another exponent counts as the same key.
struct KeyDigests {
  KeyDigests() = default;
  /// A key that is known by its SubjectPublicKeyInfo alone: EC, or RSA whose modulus nobody has seen yet.
  KeyDigests(const Sha256& key) : sha256(key) {}
  KeyDigests(const Sha256& key, const std::optional<Sha256>& its_modulus) : sha256(key), modulus(its_modulus) {}
  bool operator==(const KeyDigests&) const = default;

  /// The one, or both.
  std::vector<Sha256> all() const {
    return modulus ? std::vector<Sha256>{sha256, *modulus} : std::vector<Sha256>{sha256};
  }

  Sha256 sha256{};                      ///< of the SubjectPublicKeyInfo, DER
  std::optional<Sha256> modulus;        ///< RSA: see ca::key_digests()
  std::optional<ListedModulus> listed;  ///< RSA: how a list of weak keys would have it
};

/// The owner of a public key. A key belongs to one of them for ever.
enum class KeyOwner : std::uint8_t { kPhone, kMic, kIssuer, kSite, kAdministrator, kBlocked };
std::string_view to_string(KeyOwner owner);
std::optional<KeyOwner> parse_key_owner(std::string_view text);

struct KeyRecord {
  KeyOwner owner = KeyOwner::kPhone;
  std::int64_t phone_id = 0;  ///< for kPhone and kMic; 0 for a MIC that no phone has shown
  bool compromised = false;
  bool blocked = false;           ///< compromised, or that of a blocked certificate: it serves nobody
  std::optional<Sha256> modulus;  ///< the digest of its modulus, as far as that is on record
};

}  // namespace capf
