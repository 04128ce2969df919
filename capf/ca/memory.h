#pragma once

namespace capf::ca {

/// From now on OpenSSL keeps private numbers in memory of their own: locked, left out of core dumps, wiped when they
/// go. Those are d, the primes and the CRT exponents of RSA keys, the scalars of EC keys, those of handshakes and of
/// ECDSA signatures among them, and PEM texts of keys. What OpenSSL derives from the primes for speed (their Montgomery
/// forms) and the octets between decryption and parsing lie in ordinary memory; the latter are wiped at once.
/// Call it once, before the first key and before the first thread.
/// @return false where the system does not let so much be locked (RLIMIT_MEMLOCK): it is apart and wiped all the same.
bool protect_key_memory();

}  // namespace capf::ca
