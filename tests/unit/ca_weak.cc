#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>
#include <vector>

#include <botan/auto_rng.h>
#include <botan/bigint.h>
#include <botan/numthry.h>
#include <catch2/catch.hpp>

#include "capf/ca/blacklist.h"
#include "capf/ca/common.h"
#include "capf/ca/spki.h"
#include "tests/support/data.h"

// Keys that no phone made well: those on a list, and those with a prime of another one's.

using namespace capf;
using namespace capf::test;
using Botan::BigInt;

namespace {

std::vector<ListedModulus> list_of(const std::string& name) {
  return value_of(ca::read_blacklist(as_text(read_data("weak/" + name))));
}

KeyDigests digests_of(const std::string& key) { return ca::key_digests(read_key(key)->public_key()); }

Bytes octets(const BigInt& number) {
  Bytes bytes(number.bytes());
  number.binary_encode(bytes.data());
  return bytes;
}

std::vector<Bytes> octets(const std::vector<BigInt>& numbers) {
  std::vector<Bytes> all;
  for (const BigInt& number : numbers) all.push_back(octets(number));
  return all;
}

/// Different primes of 128 bits.
std::vector<BigInt> primes(std::size_t count) {
  Botan::AutoSeeded_RNG random;
  std::vector<BigInt> made;
  while (made.size() < count) {
    const BigInt prime = Botan::random_prime(random, 128);
    if (std::find(made.begin(), made.end(), prime) == made.end()) made.push_back(prime);
  }
  return made;
}

/// Which of the first and of the second ones are broken.
using Broken = std::pair<std::vector<std::size_t>, std::vector<std::size_t>>;

Broken broken(const std::vector<ca::CommonPrime>& pairs) {
  Broken all;
  for (const ca::CommonPrime& pair : pairs) {
    CHECK((pair.breaks_first || pair.breaks_second));
    if (pair.breaks_first) all.first.push_back(pair.first);
    if (pair.breaks_second) all.second.push_back(pair.second);
  }
  for (auto* list : {&all.first, &all.second}) {
    std::sort(list->begin(), list->end());
    list->erase(std::unique(list->begin(), list->end()), list->end());
  }
  return all;
}

std::vector<std::size_t> broken_within(const std::vector<BigInt>& moduli) {
  Broken all = broken(ca::ModulusTree(octets(moduli)).within());
  all.first.insert(all.first.end(), all.second.begin(), all.second.end());
  std::sort(all.first.begin(), all.first.end());
  all.first.erase(std::unique(all.first.begin(), all.first.end()), all.first.end());
  return all.first;
}

}  // namespace

TEST_CASE("a key on a list of openssl-blacklist's format is refused") {
  ca::Blacklist list;
  CHECK(list.empty());
  CHECK(list.check(digests_of("phone")));
  auto moduli = list_of("blacklist.RSA-2048");
  CHECK(moduli.size() == 2);
  list.replace(moduli);
  for (const char* key : {"phone", "rsa-2048"}) {
    REQUIRE_FALSE(list.check(digests_of(key)));
    CHECK(list.check(digests_of(key)).error().reason == Reason::kKeyListed);
  }
  for (const char* key : {"rsa-3072", "rsa-4096", "manufacturer", "p-256"}) CHECK(list.check(digests_of(key)));
  list.replace(list_of("blacklist.RSA-3072"));
  CHECK(list.check(digests_of("phone")));
  CHECK_FALSE(list.check(digests_of("rsa-3072")));
}

TEST_CASE("a list that is another file is named by its line") {
  for (const char* text :
       {"0123456789abcdef012", "0123456789abcdef01234", "0123456789ABCDEF0123", "0123456789abcdef012g",
        " 0123456789abcdef0123", "da39a3ee5e6b4b0d3255bfef95601890afd80709"}) {
    CAPTURE(text);
    const auto read = ca::read_blacklist("# a comment\n\n0123456789abcdef0123\r\n" + std::string(text) + "\n");
    REQUIRE_FALSE(read);
    CHECK(read.error().reason == Reason::kInvalidConfiguration);
    CHECK_THAT(read.error().message, Catch::Contains("line 4 "));
  }
  CHECK(value_of(ca::read_blacklist("")).empty());
  CHECK(value_of(ca::read_blacklist("#")).empty());
  CHECK(value_of(ca::read_blacklist("0123456789abcdef0123")).size() == 1);
}

TEST_CASE("moduli without a common prime are told from those with one, however many there are") {
  const std::size_t count = GENERATE(0, 1, 2, 3, 4, 5, 8, 13, 32, 33);
  CAPTURE(count);
  const auto p = primes(2 * count + 1);
  std::vector<BigInt> moduli;
  for (std::size_t i = 0; i < count; ++i) moduli.push_back(p[2 * i] * p[2 * i + 1]);
  CHECK(broken_within(moduli).empty());
  if (count < 2) return;
  moduli.back() = moduli.front() / p[0] * p.back();
  CHECK(broken_within(moduli) == std::vector<std::size_t>{0, count - 1});
}

TEST_CASE("a modulus whose primes are those of two others is broken with both of them") {
  const auto p = primes(6);
  CHECK(broken_within({p[0] * p[1], p[2] * p[3], p[4] * p[5], p[1] * p[2]}) == std::vector<std::size_t>{0, 1, 3});
  CHECK(broken_within({p[0] * p[1], p[0] * p[2], p[0] * p[3], p[0] * p[4]}) == std::vector<std::size_t>{0, 1, 2, 3});
  CHECK(broken_within({p[0] * p[1], p[0] * p[2], p[1] * p[2], p[3] * p[4]}) == std::vector<std::size_t>{0, 1, 2});
}

TEST_CASE("whoever makes a multiple of somebody's modulus breaks his own alone") {
  const auto p = primes(5);
  CHECK(broken_within({p[0] * p[1], p[2] * p[3], p[0] * p[1] * p[4]}) == std::vector<std::size_t>{2});
  CHECK(broken_within({p[0] * p[1], p[2] * p[3], p[0] * p[1] * p[2] * p[3]}) == std::vector<std::size_t>{2});
}

TEST_CASE("moduli are compared with those of another batch as with each other") {
  const auto p = primes(12);
  const ca::ModulusTree tree(octets(std::vector<BigInt>{p[0] * p[1], p[2] * p[3], p[4] * p[5]}));
  const auto with = [&](const std::vector<BigInt>& others) { return broken(tree.with(octets(others))); };
  CHECK(with({}) == Broken{});
  CHECK(with({p[6] * p[7]}) == Broken{});
  CHECK(with({p[6] * p[7], p[3] * p[8]}) == Broken{{1}, {1}});
  CHECK(with({p[5] * p[7], p[3] * p[8], p[9] * p[10], p[3] * p[11]}) == Broken{{1, 2}, {0, 1, 3}});
  CHECK(with({p[0] * p[1] * p[9]}) == Broken{{}, {0}});
  CHECK(with({p[0], p[9] * p[10]}) == Broken{{0}, {}});
  CHECK(ca::ModulusTree(std::vector<Bytes>()).with(octets(std::vector<BigInt>{p[0] * p[1]})).empty());
}

// By hand: the figures of deploy/README.md, in seconds of one processor. Numbers of 2048 bits that are not products of
// two primes cost the same.
TEST_CASE("the cost of comparing a fleet's moduli", "[.cost]") {
  constexpr std::size_t kTogether = 8192;
  const std::size_t count = GENERATE(10'000, 150'000);
  Botan::AutoSeeded_RNG random;
  std::vector<Bytes> moduli(count, Bytes(256));
  for (Bytes& modulus : moduli) {
    random.randomize(modulus.data(), modulus.size());
    modulus.front() |= 0x80;
    modulus.back() |= 1;
  }
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < count; i += kTogether) {
    const auto batch = [&](std::size_t from) {
      return std::span<const Bytes>(moduli).subspan(from, std::min(kTogether, count - from));
    };
    const ca::ModulusTree tree(batch(i));
    CHECK(tree.suspects().size() <= kTogether);
    for (std::size_t j = 0; j < i; j += kTogether) CHECK(tree.suspects(batch(j)).size() <= kTogether);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::cout << count << " moduli: " << took.count() << " s\n";
}
