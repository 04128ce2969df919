#include "capf/daemon/secrets_files.h"

#include <algorithm>
#include <vector>

#include "capf/ca/key.h"
#include "capf/domain/audit_store.h"

namespace capf::daemon {
namespace {

Result<std::vector<SecretsKeyRecord>> on_record(Database& database) {
  return in_read(database, [](Transaction& tx) { return tx.secrets_keys().list(); });
}

Result<Secret> read_key(const SiteFiles& files, const Secret& passphrase, int generation) {
  const auto path = files.secrets_key(generation);
  CAPF_LET(const Secret pem, read_secret_file(path));
  auto key = ca::decrypt_symmetric_key(pem.view(), passphrase);
  if (!key) return fail(key.error().reason, path.string() + ": " + key.error().message, key.error().cause);
  return key;
}

}  // namespace

Result<Sha256> make_secrets_key(const SiteFiles& files, const Secret& passphrase, int generation,
                                Botan::RandomNumberGenerator& random) {
  const Secret key = ca::generate_secrets_key(random);
  CAPF_LET(const Bytes encrypted, ca::encrypt_symmetric_key(key, passphrase));
  CAPF_TRY(write_new_secret_file(files.secrets_key(generation), encrypted));
  CAPF_TRY(sync_folder(files.keys()));
  return ca::check_value_of(key);
}

Status SecretsFiles::open(Botan::RandomNumberGenerator& random) {
  CAPF_LET(auto records, on_record(database_));
  if (records.empty()) {
    const Status added = add_first(random);
    // A standby of a site whose primary no server of this version has seen yet: it has no secret.
    if (!added && added.error().reason == Reason::kDatabaseReadOnly) return {};
    CAPF_TRY(added);
    CAPF_LET(records, on_record(database_));
  }
  int active = 0;
  for (const SecretsKeyRecord& record : records) {
    if (record.active) active = record.generation;
  }
  for (const SecretsKeyRecord& record : records) {
    if (record.generation <= active) CAPF_TRY(load(record));
  }
  tick();
  return {};
}

Status SecretsFiles::add_first(Botan::RandomNumberGenerator& random) {
  std::error_code error;
  SecretsKeyRecord first{.generation = kFirstSecrets, .active = true};
  if (std::filesystem::exists(files_.secrets_key(kFirstSecrets), error)) {
    CAPF_LET(const Secret key, read_key(files_, passphrase_, kFirstSecrets));
    CAPF_LET(first.check_value, ca::check_value_of(key));
  } else {
    CAPF_LET(first.check_value, make_secrets_key(files_, passphrase_, kFirstSecrets, random));
    log_info("secrets.key_made", {{"file", files_.secrets_key(kFirstSecrets).string()}});
  }
  return in_write(database_, [&](Transaction& tx) -> Status {
    CAPF_LET(const bool added, tx.secrets_keys().add(first));
    if (!added) return {};  // another server was faster: whose key it is, is seen next
    AuditEvent event;
    event.actor = {ActorKind::kSystem, "capfd", ""};
    event.action = "site.secrets_key";
    event.subject = "generation " + std::to_string(first.generation);
    return tx.audit().add(event);
  });
}

Status SecretsFiles::load(const SecretsKeyRecord& record) {
  const auto path = files_.secrets_key(record.generation);
  const std::string remedy =
      ": copy it from another server of the site, or from a backup, with the passphrase of that time. No secret of "
      "the database can be read without it, and nothing is overwritten";
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return fail(Reason::kInvalidConfiguration, path.string() + " is lost" + remedy);
  }
  CAPF_LET(const Secret key, read_key(files_, passphrase_, record.generation));
  CAPF_LET(const Sha256 check_value, ca::check_value_of(key));
  if (check_value != record.check_value) {
    return fail(Reason::kInvalidConfiguration, path.string() + " is not the key on record" + remedy);
  }
  return vault_.add(record.generation, key);
}

Status SecretsFiles::load_all() {
  CAPF_LET(const auto records, on_record(database_));
  Status all;
  for (const SecretsKeyRecord& record : records) {
    if (vault_.has(record.generation)) continue;
    const Status loaded = load(record);
    if (loaded) log_info("secrets.key_opened", {{"file", files_.secrets_key(record.generation).string()}});
    if (!loaded) all = loaded;
  }
  return all;
}

void SecretsFiles::tick() { complaint_.report(load_all()); }

}  // namespace capf::daemon
