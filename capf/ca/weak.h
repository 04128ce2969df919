#pragma once

#include "capf/base/bytes.h"

namespace capf::ca {

/// Checks an RSA key by its public half: its size, its exponent, and the three faults of generators that can be seen
/// cheaply. Numbers are big-endian. About half a millisecond for 2048 bits.
/// Errors: KEY_SIZE_REFUSED, KEY_EXPONENT, KEY_SMALL_FACTOR, KEY_ROCA, KEY_CLOSE_PRIMES.
Status check_rsa(BytesView modulus, BytesView exponent, int least_bits);

}  // namespace capf::ca
