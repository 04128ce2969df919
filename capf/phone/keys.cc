#include "capf/phone/keys.h"

namespace capf::phone {

Result<client::PrivateKey> TestKeys::make(client::KeyKind kind) {
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
