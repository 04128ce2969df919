#include "capf/ca/weak.h"

#include <algorithm>
#include <array>
#include <vector>

#include <botan/bigint.h>
#include <botan/numthry.h>

#include "capf/ca/asn1.h"

namespace capf::ca {
namespace {

using Botan::BigInt;

constexpr int kMostBits = 4096;
constexpr int kFermatRounds = 100;
constexpr std::uint32_t kSmallFactors = 1U << 16;

// RFC 8017 3.1 and common practice: odd; 3, as in old phones, or 65537 and above.
Status check_exponent(BytesView exponent) {
  if (count_bits(exponent) > 32) return fail(Reason::kKeyExponent, "the public exponent has more than 32 bits");
  std::uint64_t value = 0;
  for (const std::uint8_t octet : exponent) value = value << 8 | octet;
  if (value % 2 == 0 || (value != 3 && value < 65537)) {
    return fail(Reason::kKeyExponent, "the public exponent must be odd, and 3 or at least 65537");
  }
  return {};
}

/// The odd primes below 2^16.
std::vector<std::uint32_t> sieve_primes() {
  std::vector<bool> composite(kSmallFactors);
  std::vector<std::uint32_t> primes;
  for (std::uint32_t p = 3; p < kSmallFactors; p += 2) {
    if (composite[p]) continue;
    primes.push_back(p);
    for (std::uint64_t multiple = std::uint64_t{p} * p; multiple < kSmallFactors; multiple += 2ULL * p) {
      composite[static_cast<std::size_t>(multiple)] = true;
    }
  }
  return primes;
}

/// As many primes as fit into 64 bits, multiplied, with the inverse for exact division by the product.
struct PrimeGroup {
  std::uint64_t product = 1;
  std::uint64_t inverse = 1;  ///< of the product, modulo 2^64
  std::vector<std::uint32_t> primes;
};

const std::vector<PrimeGroup>& prime_groups() {
  static const std::vector<PrimeGroup> kGroups = [] {
    std::vector<PrimeGroup> groups(1);
    for (const std::uint32_t p : sieve_primes()) {
      if (groups.back().product > ~std::uint64_t{0} / p) groups.emplace_back();
      groups.back().product *= p;
      groups.back().primes.push_back(p);
    }
    for (PrimeGroup& group : groups) {
      // Newton's iteration: each round doubles the bits that are right, of which an odd number gives three at once.
      group.inverse = group.product;
      for (int round = 0; round < 5; ++round) group.inverse *= 2 - group.product * group.inverse;
    }
    return groups;
  }();
  return kGroups;
}

__extension__ using Wide = unsigned __int128;

/// Hensel's division: the remainder, times a power of 2^64, which leaves divisibility by odd primes as it is. Two
/// multiplications a limb, where an ordinary division would take ten times as long.
std::uint64_t hensel_remainder(const std::vector<std::uint64_t>& limbs, const PrimeGroup& group) {
  std::uint64_t carry = 0;
  for (const std::uint64_t limb : limbs) {
    const std::uint64_t quotient = (limb - carry) * group.inverse;
    const auto wide = static_cast<Wide>(quotient) * group.product;
    carry = static_cast<std::uint64_t>(wide >> 64) + (limb < carry ? 1 : 0);
  }
  return carry;
}

bool has_small_factor(const BigInt& modulus) {
  if (modulus.is_even()) return true;
  std::vector<std::uint64_t> limbs((modulus.bytes() + 7) / 8);
  for (std::size_t i = 0; i < modulus.bytes(); ++i) {
    limbs[i / 8] |= std::uint64_t{modulus.byte_at(i)} << (i % 8 * 8);
  }
  for (const PrimeGroup& group : prime_groups()) {
    const std::uint64_t remainder = hensel_remainder(limbs, group);
    for (const std::uint32_t p : group.primes) {
      if (remainder % p == 0) return true;
    }
  }
  return false;
}

// Nemec et al., "The Return of Coppersmith's Attack" (CVE-2017-15361)
//    primes of the form k * M + (65537^a mod M), M the product of the first primes: the modulus is a power of 65537
//    modulo each of them. By chance so is one modulus in 2^27.
bool has_roca_fingerprint(const BigInt& modulus) {
  constexpr std::array<std::uint16_t, 38> kPrimes{3,   5,   7,   11,  13,  17,  19,  23,  29,  31,  37,  41,  43,
                                                  47,  53,  59,  61,  67,  71,  73,  79,  83,  89,  97,  101, 103,
                                                  107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167};
  for (const std::uint16_t p : kPrimes) {
    const std::uint64_t remainder = modulus % Botan::word{p};
    std::uint64_t power = 1;
    do {
      if (power == remainder) break;
      power = power * 65537 % p;
    } while (power != 1);
    if (power != remainder) return false;
  }
  return true;
}

/// The smallest number whose square is not below n.
BigInt square_root_above(const BigInt& n) {
  BigInt root = BigInt::power_of_2((n.bits() + 1) / 2);
  while (true) {
    BigInt next = (root + n / root) >> 1;
    if (next >= root) break;
    root = std::move(next);
  }
  if (root * root < n) root += 1;
  return root;
}

/// Whether the number may be a square, by its remainders modulo small primes: one of some thousand non-squares passes.
bool may_be_square(const BigInt& number) {
  constexpr std::array<std::uint32_t, 10> kPrimes{3, 5, 7, 11, 13, 17, 19, 23, 29, 31};
  constexpr Botan::word kProduct = 100'280'245'065;
  // In binary, a square ends in one of only twelve of the sixty-four ways.
  constexpr std::uint64_t kSquaresModulo64 = 0x0202021202030213;
  if ((kSquaresModulo64 >> (number.byte_at(0) & 0x3F) & 1) == 0) return false;
  const Botan::word remainder = number % kProduct;
  return std::all_of(kPrimes.begin(), kPrimes.end(), [remainder](std::uint32_t p) {
    for (std::uint32_t root = 0; root <= p / 2; ++root) {
      if (root * root % p == remainder % p) return true;
    }
    return false;
  });
}

// Fermat: n = a^2 - b^2 = (a - b)(a + b), where primes that are close to each other make a small b (CVE-2022-26320).
bool has_close_primes(const BigInt& n) {
  BigInt a = square_root_above(n);
  BigInt b_squared = a * a - n;
  for (int round = 0; round < kFermatRounds; ++round) {
    if (b_squared.is_zero()) return true;
    if (may_be_square(b_squared) && !Botan::is_perfect_square(b_squared).is_zero()) return true;
    b_squared += (a << 1) + 1;
    a += 1;
  }
  return false;
}

}  // namespace

Status check_rsa(BytesView modulus, BytesView exponent, int least_bits) {
  const int bits = count_bits(modulus);
  if (bits < least_bits || bits > kMostBits) {
    return fail(Reason::kKeySizeRefused, "RSA keys must have " + std::to_string(least_bits) +
                                             " to 4096 bits, and this one has " + std::to_string(bits));
  }
  CAPF_TRY(check_exponent(exponent));
  try {
    const BigInt n(modulus.data(), modulus.size());
    if (has_small_factor(n)) return fail(Reason::kKeySmallFactor);
    if (has_roca_fingerprint(n)) return fail(Reason::kKeyRoca);
    if (has_close_primes(n)) return fail(Reason::kKeyClosePrimes);
  } catch (const std::exception& error) {
    return fail_internal(std::string("checking an RSA key: ") + error.what());
  }
  return {};
}

}  // namespace capf::ca
