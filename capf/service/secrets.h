#pragma once

#include <string>

#include <botan/rng.h>

#include "capf/ca/vault.h"
#include "capf/domain/audit.h"
#include "capf/domain/database.h"

namespace capf::service {

/// Encrypts secrets of records in one transaction, under the generation that is active until it ends.
class SecretsWriter {
 public:
  /// Errors: SECRETS_KEY_ABSENT.
  static Result<SecretsWriter> begin(Transaction& tx, const ca::Vault& vault, Botan::RandomNumberGenerator& random);
  Result<Bytes> encrypt(const ca::Cell& cell, const Secret& secret) const {
    return vault_->encrypt(generation_, cell, secret, *random_);
  }

 private:
  SecretsWriter(const ca::Vault& vault, Botan::RandomNumberGenerator& random, int generation)
      : vault_(&vault), random_(&random), generation_(generation) {}

  const ca::Vault* vault_;
  Botan::RandomNumberGenerator* random_;
  int generation_;
};

/// The change of the site's secrets to another key, in the order of these methods. Each may be called again after an
/// interruption, and servers go on meanwhile. Threads: any.
class SecretsRekeying {
 public:
  static constexpr int kBatch = 500;

  /// @param vault has the keys of all generations on record
  SecretsRekeying(Database& database, const ca::Vault& vault, Actor actor, Botan::RandomNumberGenerator& random)
      : database_(database), vault_(vault), actor_(std::move(actor)), random_(random) {}

  /// Whether every server that runs has the key of the generation. Errors: SECRETS_KEY_NOT_READY, with those that do
  /// not.
  Status check_servers(int generation);
  /// New secrets are encrypted under it from now on.
  Status activate(int generation);
  /// Encrypts some secrets of former generations again. @return how many: 0 at the end
  Result<int> encrypt_some(int generation);
  /// Forgets the keys of former generations.
  Status finish(int generation);

 private:
  Database& database_;
  const ca::Vault& vault_;
  const Actor actor_;
  Botan::RandomNumberGenerator& random_;
};

}  // namespace capf::service
