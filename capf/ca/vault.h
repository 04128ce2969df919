#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string_view>
#include <vector>

#include <botan/rng.h>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/base/secret.h"

namespace capf::ca {

/// Where an encrypted value is in the database: it decrypts nowhere else.
struct Cell {
  std::string_view table;
  std::string_view column;
  std::int64_t row = 0;
};

/// 32 octets.
Secret generate_secrets_key(Botan::RandomNumberGenerator& random);
/// A digest by which the database knows a key again: nothing of the key follows from it.
/// Errors: INVALID_CONFIGURATION unless it has 32 octets.
Result<Sha256> check_value_of(const Secret& key);

/// The site's keys, by generation, under which secrets are encrypted in the database: AES-256-GCM (NIST SP 800-38D).
///
///     generation (1 octet) | nonce (12) | ciphertext, as long as the secret | tag (16)
///
/// Table, column, row and generation are additional data. Threads: any.
class Vault {
 public:
  static constexpr std::size_t kOverhead = 1 + 12 + 16;

  /// @param generation 1 to 255. Errors: INVALID_CONFIGURATION for a key that has not 32 octets.
  Status add(int generation, const Secret& key);
  bool has(int generation) const;
  std::vector<std::int64_t> generations() const;

  /// Errors: SECRETS_KEY_ABSENT.
  Result<Bytes> encrypt(int generation, const Cell& cell, const Secret& secret,
                        Botan::RandomNumberGenerator& random) const;
  /// Errors: SECRETS_KEY_ABSENT; SECRET_BROKEN where it is not what was encrypted for this cell.
  Result<Secret> decrypt(const Cell& cell, BytesView encrypted) const;

 private:
  Result<std::shared_ptr<const Secret>> key(int generation) const;

  mutable std::shared_mutex mutex_;
  std::map<int, std::shared_ptr<const Secret>> keys_;
};

}  // namespace capf::ca
