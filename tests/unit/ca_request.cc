#include <botan/asn1_obj.h>
#include <botan/auto_rng.h>
#include <botan/bigint.h>
#include <botan/der_enc.h>
#include <botan/numthry.h>
#include <catch2/catch.hpp>

#include "capf/ca/asn1.h"
#include "capf/ca/request.h"
#include "capf/ca/spki.h"
#include "tests/support/data.h"

using namespace capf;
using namespace capf::test;
using Botan::BigInt;

namespace {

/// A SubjectPublicKeyInfo with any numbers, as a faulty generator would make it.
Bytes rsa_spki(const BigInt& modulus, const BigInt& exponent) {
  using ca::der_element;
  Bytes numbers;
  Botan::DER_Encoder(numbers).encode(modulus).encode(exponent);
  const Bytes algorithm =
      der_element(ca::kSequence, Botan::OID("1.2.840.113549.1.1.1").BER_encode(), Bytes{ca::kNull, 0});
  const Bytes key = der_element(ca::kSequence, numbers);
  return der_element(ca::kSequence, algorithm, der_element(ca::kBitString, Bytes{0}, key));
}

Status judge(const BigInt& modulus, const BigInt& exponent = 65537, bool allow_1024 = false) {
  return ca::check_key(ca::read_public_key(rsa_spki(modulus, exponent)).value(), allow_1024);
}

/// A random prime with its two top bits set.
BigInt prime(std::size_t bits) {
  Botan::AutoSeeded_RNG random;
  return Botan::random_prime(random, bits);
}

BigInt next_prime(BigInt from) {
  Botan::AutoSeeded_RNG random;
  if (from.is_even()) from += 1;
  while (!Botan::is_prime(from, random, 32)) from += 2;
  return from;
}

BigInt good_modulus() {
  static const BigInt kModulus = prime(1024) * prime(1024);
  return kModulus;
}

/// A prime as the faulty library made them: k * M + (65537^a mod M).
BigInt roca_prime() {
  Botan::AutoSeeded_RNG random;
  BigInt m = 1;
  for (BigInt p = 2; p <= 167; p = next_prime(p + 1)) m *= p;
  const BigInt most = (BigInt(1) << 1024) / m;
  while (true) {
    const BigInt k = most - BigInt(random, most.bits() - 3, false) - 1;  // the two top bits of the prime are set
    const BigInt candidate = k * m + Botan::power_mod(65537, BigInt(random, 60), m);
    if (Botan::is_prime(candidate, random, 32)) return candidate;
  }
}

Bytes ec_spki(const std::string& request) {
  return ca::read_request(read_data("requests/" + request + ".der")).value().public_key;
}

}  // namespace

TEST_CASE("requests of every key that phones have are read") {
  struct Expected {
    std::string name;
    ca::KeyType type;
    int bits;
  };
  const auto expected =
      GENERATE(Expected{"rsa-1024", ca::KeyType::kRsa, 1024}, Expected{"rsa-2048", ca::KeyType::kRsa, 2048},
               Expected{"rsa-3072", ca::KeyType::kRsa, 3072}, Expected{"rsa-4096", ca::KeyType::kRsa, 4096},
               Expected{"p-256", ca::KeyType::kEc, 256}, Expected{"p-384", ca::KeyType::kEc, 384},
               Expected{"p-521", ca::KeyType::kEc, 521}, Expected{"rsa-2048-sha1", ca::KeyType::kRsa, 2048},
               Expected{"wants_ca", ca::KeyType::kRsa, 2048});
  CAPTURE(expected.name);
  const auto key = ca::read_request(read_data("requests/" + expected.name + ".der")).value();
  CHECK(key.type == expected.type);
  CHECK(key.bits == expected.bits);
  CHECK(key.digests.sha256 == sha256(key.public_key));
  CHECK(ca::check_key(key, true));
  CHECK(ca::read_public_key(key.public_key).value().bits == expected.bits);
}

TEST_CASE("the key is handed on as it was sent") {
  CHECK(ca::read_request(read_data("requests/rsa-2048.der")).value().public_key == read_key("phone")->public_key());
}

TEST_CASE("an RSA key is known by its modulus too, whatever its exponent") {
  const Bytes phone = read_key("phone")->public_key();
  const KeyDigests key = ca::key_digests(phone);
  CHECK(key.sha256 == sha256(phone));
  // (printf 'RSA modulus '; openssl rsa -in phone.key -noout -modulus | cut -d= -f2 | xxd -r -p) | openssl dgst -sha256
  REQUIRE(key.modulus);
  CHECK(to_hex(*key.modulus) == "bd8cd2c27b28333abb69cfc057714f38ddfbd0ee427047328159ed9f478d5122");
  const KeyDigests one = ca::key_digests(rsa_spki(good_modulus(), 65537));
  const KeyDigests other = ca::key_digests(rsa_spki(good_modulus(), 3));
  CHECK(one.sha256 != other.sha256);
  CHECK(one.modulus == other.modulus);
  CHECK(one.modulus != key.modulus);
  CHECK_FALSE(ca::key_digests(read_key("p-256")->public_key()).modulus);
  CHECK_FALSE(ca::key_digests(as_bytes("no key")).modulus);
  CHECK(ca::key_digests(as_bytes("no key")).sha256 == sha256(as_bytes("no key")));
}

TEST_CASE("what is no request is refused") {
  const Bytes good = read_data("requests/rsa-2048.der");
  CHECK(reason_of(ca::read_request({})) == Reason::kInvalidCertificationRequest);
  CHECK(reason_of(ca::read_request(as_bytes("-----BEGIN CERTIFICATE REQUEST-----"))) ==
        Reason::kInvalidCertificationRequest);
  CHECK(reason_of(ca::read_request(read_der("mic/good.pem"))) == Reason::kInvalidCertificationRequest);
  CHECK(reason_of(ca::read_request(Bytes(10'000'000, 0x30))) == Reason::kRequestTooLarge);

  Bytes longer = good;
  longer.push_back(0);
  CHECK(reason_of(ca::read_request(longer)) == Reason::kInvalidCertificationRequest);
  // The outer length in a longer form than it needs: BER, not DER.
  REQUIRE(good[1] == 0x82);
  Bytes padded = good;
  padded[1] = 0x83;
  padded.insert(padded.begin() + 2, 0);
  CHECK(reason_of(ca::read_request(padded)) == Reason::kInvalidCertificationRequest);
}

TEST_CASE("no cut or changed request is taken") {
  const Bytes good = read_data("requests/p-256.der");
  for (std::size_t size = 0; size < good.size(); ++size) {
    CHECK_FALSE(ca::read_request(BytesView(good).first(size)));
  }
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes changed = good;
    changed[i] ^= 0x01;
    CAPTURE(i);
    CHECK_FALSE(ca::read_request(changed));
  }
}

TEST_CASE("a request that another key signed is refused") {
  Bytes request = read_data("requests/rsa-2048.der");
  const Bytes own = read_key("phone")->public_key();
  const Bytes other = read_key("forger")->public_key();
  const auto at = std::search(request.begin(), request.end(), own.begin(), own.end());
  REQUIRE(at != request.end());
  REQUIRE(own.size() == other.size());
  std::copy(other.begin(), other.end(), at);
  CHECK(reason_of(ca::read_request(request)) == Reason::kRequestSignature);
}

TEST_CASE("a request signed with MD5 proves nothing") {
  CHECK(reason_of(ca::read_request(read_data("requests/rsa-2048-md5.der"))) == Reason::kRequestSignature);
}

TEST_CASE("keys of other kinds are refused") {
  CHECK(reason_of(ca::read_request(read_data("requests/secp256k1.der"))) == Reason::kKeyTypeRefused);
  CHECK(reason_of(ca::read_request(read_data("requests/ed25519.der"))) == Reason::kKeyTypeRefused);
  CHECK(reason_of(ca::read_request(read_data("requests/p-256-explicit.der"))) == Reason::kKeyEncoding);
}

TEST_CASE("a point that is not on its curve is refused") {
  Bytes spki = ec_spki("p-384");
  SECTION("off the curve") {
    spki.back() ^= 1;
    CHECK(reason_of(ca::read_public_key(spki)) == Reason::kKeyNotOnCurve);
    ca::OfferedKey key{spki, {}, ca::KeyType::kEc, 384};
    CHECK(reason_of(ca::check_key(key, false)) == Reason::kKeyNotOnCurve);
  }
  SECTION("at infinity") {
    const Bytes infinity{0x30, 0x15, 0x30, 0x10, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02,
                         0x01, 0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22, 0x03, 0x02, 0x00, 0x00};
    Bytes whole = infinity;
    whole[1] = static_cast<std::uint8_t>(whole.size() - 2);
    CHECK(reason_of(ca::read_public_key(whole)) == Reason::kKeyNotOnCurve);
  }
}

TEST_CASE("a bare key is one SubjectPublicKeyInfo and nothing behind it") {
  Bytes spki = ec_spki("p-256");
  spki.push_back(0);
  CHECK(reason_of(ca::read_public_key(spki)) == Reason::kKeyEncoding);
  CHECK(reason_of(ca::read_public_key({})) == Reason::kKeyEncoding);
  CHECK(reason_of(ca::read_public_key(as_bytes("ssh-rsa AAAA"))) == Reason::kKeyEncoding);
}

TEST_CASE("a good RSA key passes") {
  CHECK(judge(good_modulus()));
  CHECK(judge(good_modulus(), 3));
  CHECK(judge(good_modulus(), 0xFFFFFFFF));
}

TEST_CASE("the size of an RSA key is bounded, and 1024 bits are the site's choice") {
  const BigInt small = prime(512) * prime(512);
  CHECK(reason_of(judge(small)) == Reason::kKeySizeRefused);
  CHECK(judge(small, 65537, true));
  CHECK(reason_of(judge(prime(256) * prime(256), 65537, true)) == Reason::kKeySizeRefused);
  const auto shorter = judge(good_modulus() >> 1);
  REQUIRE(reason_of(shorter) == Reason::kKeySizeRefused);
  CHECK_THAT(shorter.error().message, Catch::Contains("has 2047"));
  CHECK(reason_of(ca::read_public_key(rsa_spki(BigInt(1) << 4096, 65537))) == Reason::kKeySizeRefused);
}

TEST_CASE("the public exponent is odd, 3 or 65537 and above, and has 32 bits at most") {
  for (const std::uint64_t bad : {0ULL, 1ULL, 2ULL, 5ULL, 17ULL, 65536ULL, 65535ULL, 0xFFFFFFFEULL}) {
    CAPTURE(bad);
    CHECK(reason_of(judge(good_modulus(), BigInt(bad))) == Reason::kKeyExponent);
  }
  CHECK(reason_of(ca::read_public_key(rsa_spki(good_modulus(), BigInt(1) << 32))) == Reason::kKeyExponent);
}

TEST_CASE("a modulus with a factor below 2^16 is refused") {
  const BigInt large = prime(512);
  const BigInt half = (BigInt(1) << 1023) / large;
  const auto judge_with = [&](std::uint32_t factor) {
    return judge(large * next_prime(half / factor + 1) * factor, 65537, true);
  };
  // 65521 is the largest prime below 2^16, 65537 the first above it.
  for (const std::uint32_t factor : {2U, 3U, 251U, 257U, 32749U, 65519U, 65521U}) {
    CAPTURE(factor);
    CHECK(reason_of(judge_with(factor)) == Reason::kKeySmallFactor);
  }
  CHECK(judge_with(65537));
}

TEST_CASE("close primes are refused") {
  const BigInt p = prime(1024);
  SECTION("the next prime") { CHECK(reason_of(judge(p * next_prime(p + 2))) == Reason::kKeyClosePrimes); }
  SECTION("a square") { CHECK(reason_of(judge(p * p)) == Reason::kKeyClosePrimes); }
  SECTION("so close that a few dozen rounds find them") {
    CHECK(reason_of(judge(p * next_prime(p + (BigInt(1) << 516)))) == Reason::kKeyClosePrimes);
  }
  SECTION("primes that differ in their upper half are not close") {
    CHECK(judge(p * next_prime(p + (BigInt(1) << 600))));
  }
}

TEST_CASE("a modulus of the faulty library is refused") {
  CHECK(reason_of(judge(roca_prime() * roca_prime())) == Reason::kKeyRoca);
  CHECK(judge(roca_prime() * prime(1024)));
}

TEST_CASE("an operation gets the key that it asks for") {
  const auto rsa = ca::read_request(read_data("requests/rsa-2048.der")).value();
  const auto ec = ca::read_request(read_data("requests/p-384.der")).value();
  CHECK(ca::check_wanted(rsa, {KeyOrder::kRsa, 2048, 384}));
  CHECK(ca::check_wanted(ec, {KeyOrder::kEc, 2048, 384}));
  CHECK(ca::check_wanted(rsa, {KeyOrder::kEcRsa, 2048, 384}));
  CHECK(ca::check_wanted(ec, {KeyOrder::kEcRsa, 2048, 384}));
  CHECK(reason_of(ca::check_wanted(rsa, {KeyOrder::kRsa, 3072, 384})) == Reason::kKeySizeMismatch);
  CHECK(reason_of(ca::check_wanted(rsa, {KeyOrder::kEc, 2048, 384})) == Reason::kKeySizeMismatch);
  CHECK(reason_of(ca::check_wanted(ec, {KeyOrder::kRsa, 2048, 384})) == Reason::kKeySizeMismatch);
  CHECK(reason_of(ca::check_wanted(ec, {KeyOrder::kEcRsa, 2048, 256})) == Reason::kKeySizeMismatch);
  const auto words = [](const ca::OfferedKey& key, const KeyPolicy& wanted) {
    return ca::check_wanted(key, wanted).error().message;
  };
  CHECK_THAT(words(rsa, {KeyOrder::kRsa, 3072, 384}), Catch::Contains("2048 bits; the operation asks for 3072"));
  CHECK_THAT(words(ec, {KeyOrder::kEcRsa, 2048, 256}), Catch::Contains("384 bits; the operation asks for 256"));
  CHECK_THAT(words(ec, {KeyOrder::kRsa, 2048, 384}), Catch::Contains("an EC key"));
}
