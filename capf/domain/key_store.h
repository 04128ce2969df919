#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/domain/key.h"

namespace capf {

/// Two devices whose keys, made before moduli were looked at, have one modulus.
struct SharedModulus {
  std::string device;
  std::string other;
};

class KeyStore {
 public:
  virtual ~KeyStore() = default;
  /// Writes the key and its modulus down for their owner unless they are on record. @return what is on record now:
  /// another owner's record where one of the two is another's; compromised and blocked where one of the two is.
  virtual Result<KeyRecord> claim(const KeyDigests& key, KeyOwner owner, std::int64_t phone_id) = 0;
  /// The key's record, or that of its modulus with another exponent.
  virtual Result<std::optional<KeyRecord>> find(const KeyDigests& key) = 0;
  /// For ever, with the moduli that are on record of them, also where nobody has shown the key yet.
  virtual Status mark_compromised(std::span<const Sha256> keys) = 0;
  /// Writes down the moduli of keys that are on record without. @return devices that turn out to share one.
  virtual Result<std::vector<SharedModulus>> learn_moduli(std::span<const KeyDigests> keys) = 0;
};

}  // namespace capf
