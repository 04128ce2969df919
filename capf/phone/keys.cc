#include "capf/phone/keys.h"

namespace capf::phone {

Secret key_file(const client::PrivateKey& key, const KeySource& source) {
  const Secret pem = key.pem();
  Botan::secure_vector<std::uint8_t> text(source.remark().begin(), source.remark().end());
  text.insert(text.end(), pem.view().begin(), pem.view().end());
  return Secret(std::move(text));
}

Status TestKeys::prepare(client::KeyKind kind, std::uint64_t count) {
  std::vector<client::PrivateKey> keys;
  for (std::uint64_t i = 0; i < count; ++i) {
    CAPF_LET(client::PrivateKey key, take(kind));
    keys.push_back(std::move(key));
  }
  const std::scoped_lock lock(mutex_);
  prepared_ = std::move(keys);
  prepared_kind_ = kind;
  return {};
}

Result<client::PrivateKey> TestKeys::make(client::KeyKind kind) {
  {
    const std::scoped_lock lock(mutex_);
    if (!prepared_.empty() && prepared_kind_ == kind) {
      client::PrivateKey key = std::move(prepared_.back());
      prepared_.pop_back();
      return key;
    }
  }
  return take(kind);
}

Result<client::PrivateKey> TestKeys::take(client::KeyKind kind) {
  if (kind.type == client::KeyKind::Type::kEc) return client::PrivateKey::generate(kind);
  Bytes p;
  Bytes q;
  {
    const std::scoped_lock lock(mutex_);
    Pool& pool = pools_[kind.bits];
    // Pairs (0,1), (0,2), (1,2), (0,3), ...: a new prime only when all pairs of the others are used up.
    if (pool.first >= pool.second) {
      do {
        CAPF_LET(Bytes prime, client::generate_prime(kind.bits / 2));
        pool.primes.push_back(std::move(prime));
      } while (pool.primes.size() < 2);
      pool.second = pool.primes.size() - 1;
      pool.first = 0;
    }
    p = pool.primes[pool.first++];
    q = pool.primes[pool.second];
  }
  return client::PrivateKey::from_primes(p, q);
}

}  // namespace capf::phone
