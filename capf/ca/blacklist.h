#pragma once

#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "capf/domain/key.h"

namespace capf::ca {

/// Reads a list in the format of Debian's openssl-blacklist, openssl-vulnkey(1): each line is the lower-case SHA-1 of
/// the line "Modulus=<upper-case hexadecimal>" that `openssl x509 -noout -modulus` prints, without its first 20 digits;
/// '#' begins a comment. Errors: INVALID_CONFIGURATION, with the line.
Result<std::vector<ListedModulus>> read_blacklist(std::string_view text);

/// The RSA keys that the site refuses by a list, since others can make them too. Empty at first. Threads: any.
class Blacklist {
 public:
  void replace(std::vector<ListedModulus> moduli);
  bool empty() const;
  /// Errors: KEY_LISTED.
  Status check(const KeyDigests& key) const;

 private:
  using Moduli = std::vector<ListedModulus>;  ///< sorted
  std::shared_ptr<const Moduli> now() const;

  mutable std::mutex mutex_;
  std::shared_ptr<const Moduli> moduli_ = std::make_shared<Moduli>();
};

}  // namespace capf::ca
