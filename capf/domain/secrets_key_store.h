#pragma once

#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"

namespace capf {

/// The record of a key for secrets, which is in a file of the site.
struct SecretsKeyRecord {
  int generation = 0;
  Sha256 check_value{};  ///< ca::check_value_of() of the key
  bool active = false;   ///< new secrets are encrypted under it

  friend bool operator==(const SecretsKeyRecord&, const SecretsKeyRecord&) = default;
};

class SecretsKeyStore {
 public:
  virtual ~SecretsKeyStore() = default;
  /// @return false where its generation is on record already.
  virtual Result<bool> add(const SecretsKeyRecord& key) = 0;
  /// By generation.
  virtual Result<std::vector<SecretsKeyRecord>> list() = 0;
  /// The active generation, which stays active until this transaction ends.
  virtual Result<int> hold_active() = 0;
  /// Waits for the transactions that hold the active one.
  virtual Status activate(int generation) = 0;
  /// Forgets the keys of lower generations, of which no secret is left.
  virtual Status remove_below(int generation) = 0;
};

}  // namespace capf
