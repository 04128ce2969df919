#include "capf/service/secrets.h"

#include <algorithm>
#include <vector>

#include "capf/domain/audit_store.h"
#include "capf/domain/configuration_store.h"
#include "capf/domain/digest_store.h"
#include "capf/domain/policy.h"
#include "capf/domain/secrets_key_store.h"
#include "capf/domain/server_store.h"
#include "capf/service/configurations.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr int kConfigurationsOfBatch = 20;  // of 1 MiB at most

/// The value of one cell, encrypted again where there is one.
Status encrypt_again(const ca::Vault& vault, const SecretsWriter& writer, const ca::Cell& cell,
                     std::optional<Bytes>& value) {
  if (!value) return {};
  CAPF_LET(const Secret secret, vault.decrypt(cell, *value));
  CAPF_LET(value, writer.encrypt(cell, secret));
  return {};
}

}  // namespace

Result<SecretsWriter> SecretsWriter::begin(Transaction& tx, const ca::Vault& vault,
                                           Botan::RandomNumberGenerator& random) {
  CAPF_LET(const int generation, tx.secrets_keys().hold_active());
  return SecretsWriter(vault, random, generation);
}

Status SecretsRekeying::check_servers(int generation) {
  CAPF_LET(const auto servers, in_read(database_, [](Transaction& tx) { return tx.servers().alive(); }));
  std::vector<std::string> without;
  for (const ServerRecord& server : servers) {
    const bool has = std::find(server.secrets.begin(), server.secrets.end(), generation) != server.secrets.end();
    if (!has) without.push_back(server.name);
  }
  if (without.empty()) return {};
  return fail(Reason::kSecretsKeyNotReady, listed(without) + (without.size() == 1 ? " does" : " do") +
                                               " not have keys/secrets-" + std::to_string(generation) +
                                               ".key: copy the file there, and give the command again");
}

Status SecretsRekeying::activate(int generation) {
  return in_write(database_, [&](Transaction& tx) -> Status {
    CAPF_LET(const auto keys, tx.secrets_keys().list());
    const auto active = [&](const SecretsKeyRecord& key) { return key.generation == generation && key.active; };
    if (std::any_of(keys.begin(), keys.end(), active)) return {};
    CAPF_TRY(tx.secrets_keys().activate(generation));
    return tx.audit().add(done(actor_, "site.rekey_secrets", "generation " + std::to_string(generation), "begun"));
  });
}

Result<int> SecretsRekeying::encrypt_some(int generation) {
  return in_write(database_, [&](Transaction& tx) -> Result<int> {
    CAPF_LET(const SecretsWriter writer, SecretsWriter::begin(tx, vault_, random_));
    CAPF_LET(auto users, tx.digest().lock_older(generation, kBatch));
    for (EncryptedUser& user : users) {
      CAPF_TRY(encrypt_again(vault_, writer, {"digest_users", "password", user.id}, user.secret.password));
      CAPF_TRY(encrypt_again(vault_, writer, {"digest_users", "ha1", user.id}, user.secret.ha1));
    }
    if (!users.empty()) CAPF_TRY(tx.digest().replace_secrets(users));
    CAPF_LET(auto files, tx.configurations().lock_older(generation, kConfigurationsOfBatch));
    for (EncryptedConfiguration& file : files) {
      const ca::Cell cell = cell_of_source(file.id);
      CAPF_LET(const Secret source, vault_.decrypt(cell, file.source));
      CAPF_LET(file.source, writer.encrypt(cell, source));
    }
    if (!files.empty()) CAPF_TRY(tx.configurations().replace_sources(files));
    return static_cast<int>(users.size() + files.size());
  });
}

Status SecretsRekeying::finish(int generation) {
  return in_write(database_, [&](Transaction& tx) -> Status {
    CAPF_TRY(tx.secrets_keys().remove_below(generation));
    return tx.audit().add(done(actor_, "site.rekey_secrets", "generation " + std::to_string(generation), "finished"));
  });
}

}  // namespace capf::service
