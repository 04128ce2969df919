#pragma once

#include <map>
#include <mutex>
#include <string_view>
#include <vector>

#include "capf/client/key.h"

namespace capf::phone {

/// The source of phones' new keys. Threads: any.
class KeySource {
 public:
  virtual ~KeySource() = default;
  /// Errors: KEY_GENERATION_FAILED.
  virtual Result<client::PrivateKey> make(client::KeyKind kind) = 0;
  /// The text above such a key in its file; may be empty.
  virtual std::string_view remark() const = 0;
};

/// The key's file: the remark, and the key in PEM.
Secret key_file(const client::PrivateKey& key, const KeySource& source);

/// Keys made as a phone makes its own.
class FreshKeys final : public KeySource {
 public:
  Result<client::PrivateKey> make(client::KeyKind kind) override { return client::PrivateKey::generate(kind); }
  std::string_view remark() const override { return {}; }
};

/// Many different keys cheaply: RSA keys from a pool of primes, each pair of primes once. Two of them may share a
/// prime, which lets anyone factor both: for tests alone.
class TestKeys final : public KeySource {
 public:
  Result<client::PrivateKey> make(client::KeyKind kind) override;
  /// Makes so many keys now, which make() uses first.
  Status prepare(client::KeyKind kind, std::uint64_t count);
  std::string_view remark() const override { return "capf-phone test key: shares its primes with others\n"; }

 private:
  struct Pool {
    std::vector<Bytes> primes;
    std::size_t first = 0;  ///< the next pair
    std::size_t second = 0;
  };
  Result<client::PrivateKey> take(client::KeyKind kind);

  std::mutex mutex_;
  std::vector<client::PrivateKey> prepared_;
  client::KeyKind prepared_kind_;
  std::map<int, Pool> pools_;  ///< by the size of the modulus
};

}  // namespace capf::phone
