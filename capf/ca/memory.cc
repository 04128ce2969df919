#include "capf/ca/memory.h"

#include <cstddef>

#include <openssl/crypto.h>

namespace capf::ca {
namespace {

// When it is full, handshakes and ECDSA signatures fail: it has room for 60,000 handshakes at once beside the keys of
// some hundred issuers (4 KiB each). systemd and the kernel let a service lock 8 MiB; Botan takes half a MiB of them.
constexpr std::size_t kHeapSize = std::size_t{4} << 20;
constexpr std::size_t kSmallestPiece = 32;

}  // namespace

bool protect_key_memory() {
  // 0: there is no such heap; 1: locked; 2: not locked
  return CRYPTO_secure_malloc_init(kHeapSize, kSmallestPiece) == 1;
}

}  // namespace capf::ca
