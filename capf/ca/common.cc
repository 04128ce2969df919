#include "capf/ca/common.h"

#include <algorithm>
#include <utility>

#include <gmpxx.h>

namespace capf::ca {
namespace {

using Level = std::vector<mpz_class>;

mpz_class number_of(const Bytes& modulus) {
  mpz_class number;
  mpz_import(number.get_mpz_t(), modulus.size(), 1, 1, 1, 0, modulus.data());
  return number;
}

Level numbers_of(std::span<const Bytes> moduli) {
  Level numbers;
  numbers.reserve(moduli.size());
  for (const Bytes& modulus : moduli) numbers.push_back(number_of(modulus));
  return numbers;
}

/// The products of each two neighbours; the last one stays alone where their count is odd.
Level multiplied(const Level& below) {
  Level level;
  level.reserve((below.size() + 1) / 2);
  for (std::size_t i = 0; i + 1 < below.size(); i += 2) level.emplace_back(below[i] * below[i + 1]);
  if (below.size() % 2 == 1) level.push_back(below.back());
  return level;
}

mpz_class product_of(Level level) {
  while (level.size() > 1) level = multiplied(level);
  return level.empty() ? mpz_class(1) : std::move(level.front());
}

/// The two as a pair, or nothing where they have no divisor in common.
bool compare(const mpz_class& first, const mpz_class& second, CommonPrime& pair) {
  const mpz_class divisor = gcd(first, second);
  pair.breaks_first = divisor > 1 && divisor < first;
  pair.breaks_second = divisor > 1 && divisor < second;
  return pair.breaks_first || pair.breaks_second;
}

}  // namespace

/// The moduli, their products in twos, in fours, up to the product of all.
struct ModulusTree::Numbers {
  std::vector<Level> levels;

  const Level& moduli() const { return levels.front(); }
  /// The remainders of the number by each modulus, or by its square.
  Level remainders(const mpz_class& number, bool of_squares) const {
    Level above{number};
    for (auto level = levels.rbegin(); level != levels.rend(); ++level) {
      Level remainders;
      remainders.reserve(level->size());
      for (std::size_t i = 0; i < level->size(); ++i) {
        const mpz_class& parent = above.size() == 1 ? above.front() : above[i / 2];
        const mpz_class& product = (*level)[i];
        remainders.emplace_back(of_squares ? mpz_class(parent % (product * product)) : mpz_class(parent % product));
      }
      above = std::move(remainders);
    }
    return above;
  }
};

ModulusTree::ModulusTree(std::span<const Bytes> moduli) : numbers_(std::make_unique<Numbers>()) {
  numbers_->levels.push_back(numbers_of(moduli));
  while (numbers_->levels.back().size() > 1) numbers_->levels.push_back(multiplied(numbers_->levels.back()));
}

ModulusTree::~ModulusTree() = default;

// The product of the others, modulo n, is (P mod n^2) / n, P being the product of all.
std::vector<std::size_t> ModulusTree::suspects() const {
  std::vector<std::size_t> found;
  const Level& moduli = numbers_->moduli();
  if (moduli.size() < 2) return found;
  const Level remainders = numbers_->remainders(numbers_->levels.back().front(), true);
  for (std::size_t i = 0; i < moduli.size(); ++i) {
    const mpz_class others = remainders[i] / moduli[i];
    if (gcd(others, moduli[i]) > 1) found.push_back(i);
  }
  return found;
}

std::vector<std::size_t> ModulusTree::suspects(std::span<const Bytes> others) const {
  std::vector<std::size_t> found;
  const Level& moduli = numbers_->moduli();
  if (moduli.empty() || others.empty()) return found;
  const Level remainders = numbers_->remainders(product_of(numbers_of(others)), false);
  for (std::size_t i = 0; i < moduli.size(); ++i) {
    if (gcd(remainders[i], moduli[i]) > 1) found.push_back(i);
  }
  return found;
}

std::vector<CommonPrime> ModulusTree::within() const {
  std::vector<CommonPrime> pairs;
  const Level& moduli = numbers_->moduli();
  const std::vector<std::size_t> found = suspects();
  std::vector<bool> broken(moduli.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    for (std::size_t j = i + 1; j < found.size(); ++j) {
      CommonPrime pair{found[i], found[j]};
      if (broken[pair.first] && broken[pair.second]) continue;
      if (!compare(moduli[pair.first], moduli[pair.second], pair)) continue;
      broken[pair.first] = broken[pair.first] || pair.breaks_first;
      broken[pair.second] = broken[pair.second] || pair.breaks_second;
      pairs.push_back(pair);
    }
  }
  return pairs;
}

std::vector<CommonPrime> ModulusTree::with(std::span<const Bytes> others) const {
  std::vector<CommonPrime> pairs;
  const Level& moduli = numbers_->moduli();
  const std::vector<std::size_t> found = suspects(others);
  if (found.empty()) return pairs;
  const Level theirs = numbers_of(others);
  std::vector<bool> broken(theirs.size());
  for (const std::size_t i : found) {
    bool first_broken = false;
    for (std::size_t j = 0; j < theirs.size(); ++j) {
      CommonPrime pair{i, j};
      if (first_broken && broken[j]) continue;
      if (!compare(moduli[i], theirs[j], pair)) continue;
      first_broken = first_broken || pair.breaks_first;
      broken[j] = broken[j] || pair.breaks_second;
      pairs.push_back(pair);
    }
  }
  return pairs;
}

}  // namespace capf::ca
