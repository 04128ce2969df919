#pragma once

#include <memory>
#include <span>
#include <vector>

#include "capf/base/bytes.h"

namespace capf::ca {

/// A modulus that has a prime in common with another one, so that anybody can factor it.
struct CommonPrime {
  std::size_t first = 0;      ///< among the moduli of the tree
  std::size_t second = 0;     ///< among the others
  bool breaks_first = false;  ///< the divisor is not the whole of it
  bool breaks_second = false;
};

/// Moduli that are compared with many others at once, by Bernstein's product and remainder trees (Heninger et al.,
/// "Mining Your Ps and Qs", 3.3). A modulus that is the whole divisor is not factored by it: whoever makes a multiple
/// of somebody else's modulus, which is public, breaks his own alone. Numbers are big-endian, odd and greater than 1;
/// no two are the same, nor one of the others. Memory: about 20 times that of the moduli. Threads: one at a time.
class ModulusTree {
 public:
  explicit ModulusTree(std::span<const Bytes> moduli);
  ~ModulusTree();
  ModulusTree(const ModulusTree&) = delete;
  ModulusTree& operator=(const ModulusTree&) = delete;

  /// Pairs among them, first < second: enough of them that each modulus which is broken is in one that breaks it.
  std::vector<CommonPrime> within() const;
  /// Pairs with others, in the same way.
  std::vector<CommonPrime> with(std::span<const Bytes> others) const;

  /// Those with a divisor in common with the product of their fellows, or of the others: few, and the rest is done for
  /// them only. The whole cost where no key is bad.
  std::vector<std::size_t> suspects() const;
  std::vector<std::size_t> suspects(std::span<const Bytes> others) const;

 private:
  struct Numbers;
  std::unique_ptr<Numbers> numbers_;
};

}  // namespace capf::ca
