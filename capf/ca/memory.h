#pragma once

namespace capf::ca {

/// From now on OpenSSL keeps private numbers in memory of their own: locked, left out of core dumps, wiped when freed.
/// Those are d, the primes and the CRT exponents of RSA keys, the scalars of EC keys (also those of handshakes and of
/// ECDSA signatures), and PEM texts of keys. The Montgomery forms that OpenSSL derives from the primes for speed, and
/// the octets between decryption and parsing, are in ordinary memory; the latter are wiped at once. Call it once,
/// before the first key and before the first thread.
/// @return false where the system does not let so much be locked (RLIMIT_MEMLOCK): it is still separate, and wiped.
bool protect_key_memory();

}  // namespace capf::ca
