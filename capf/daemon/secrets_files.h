#pragma once

#include <botan/rng.h>

#include "capf/base/secret.h"
#include "capf/ca/vault.h"
#include "capf/daemon/complaint.h"
#include "capf/daemon/site.h"
#include "capf/domain/database.h"
#include "capf/domain/secrets_key_store.h"

namespace capf::daemon {

/// The first generation of keys for secrets, which a new site has.
inline constexpr int kFirstSecrets = 1;

/// Makes the key of a generation and writes it, encrypted, to its file, which outlives a power cut from then on.
/// @return its check value. Errors: SITE_EXISTS, INVALID_CONFIGURATION.
Result<Sha256> make_secrets_key(const SiteFiles& files, const Secret& passphrase, int generation,
                                Botan::RandomNumberGenerator& random);

/// The site's keys for secrets in their files, keys/secrets-<generation>.key: opens those on record. Threads: one.
class SecretsFiles {
 public:
  /// All of it outlives this.
  SecretsFiles(const SiteFiles& files, const Secret& passphrase, Database& database, ca::Vault& vault)
      : files_(files), passphrase_(passphrase), database_(database), vault_(vault) {}

  /// Opens the active generation and the former ones of which secrets may be left. A site of an earlier version has no
  /// key on record, and thus no secret: it gets one. Errors: INVALID_CONFIGURATION where a key is lost or is another
  /// one than that on record, WRONG_PASSPHRASE, SECRET_EXPOSED, those of the database.
  Status open(Botan::RandomNumberGenerator& random);
  /// Opens keys that were made or copied here meanwhile; logs those that it cannot open.
  void tick();

 private:
  Status add_first(Botan::RandomNumberGenerator& random);
  Status load(const SecretsKeyRecord& record);
  Status load_all();

  const SiteFiles& files_;
  const Secret& passphrase_;
  Database& database_;
  ca::Vault& vault_;
  Complaint complaint_{"secrets.key_absent"};
};

}  // namespace capf::daemon
