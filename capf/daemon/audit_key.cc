#include "capf/daemon/audit_key.h"

#include "capf/base/log.h"
#include "capf/ca/audit.h"
#include "capf/ca/spki.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/key_store.h"
#include "capf/domain/seal_store.h"

namespace capf::daemon {
namespace {

const char* const kName = "audit";

Status write_public_half(const SiteFiles& files, const ca::SigningKey& key) {
  return rewrite_file(files.audit_public_key(), as_bytes(ca::public_key_pem(key.public_key())));
}

/// Records the key unless the database has one. @return the one on record.
Result<Bytes> record_key(Database& database, const Bytes& spki) {
  return in_write(database, [&](Transaction& tx) -> Result<Bytes> {
    CAPF_LET(const bool recorded, tx.seals().set_key(spki));
    if (recorded) {
      CAPF_LET(const KeyRecord claimed, tx.keys().claim(ca::key_digests(spki), KeyOwner::kSite, 0));
      if (claimed.owner != KeyOwner::kSite) return fail(Reason::kKeyReserved);
      AuditEvent event;
      event.actor = {ActorKind::kSystem, "capfd", ""};
      event.action = "site.audit_key";
      event.subject = to_hex(sha256(spki));
      CAPF_TRY(tx.audit().add(event));
    }
    CAPF_LET(const auto key, tx.seals().key());
    return key.value_or(Bytes{});
  });
}

tl::unexpected<Error> another_key(const SiteFiles& files) {
  return fail(Reason::kInvalidConfiguration, files.key(kName).string() +
                                                 " is not the audit key on record: the database is another site's, or "
                                                 "the key is to be copied, with " +
                                                 files.audit_public_key().string() + ", from the server that made it");
}

}  // namespace

Result<std::unique_ptr<ca::SigningKey>> make_audit_key(const SiteFiles& files, const Secret& passphrase) {
  CAPF_LET(auto key, ca::generate_key(ca::KeyAlgorithm::kP256));
  CAPF_LET(const Bytes encrypted, ca::encrypt_key(*key, passphrase));
  CAPF_TRY(rewrite_secret_file(files.key(kName), encrypted));
  CAPF_TRY(write_public_half(files, *key));
  return key;
}

Result<std::unique_ptr<ca::SigningKey>> open_audit_key(const SiteFiles& files, const Secret& passphrase,
                                                       Database& database) {
  CAPF_LET(const auto on_record, in_read(database, [](Transaction& tx) { return tx.seals().key(); }));
  std::error_code error;
  std::unique_ptr<ca::SigningKey> key;
  if (std::filesystem::exists(files.key(kName), error)) {
    CAPF_LET(const Secret pem, read_secret_file(files.key(kName)));
    CAPF_LET(key, ca::decrypt_key(pem.view(), passphrase));
    if (!std::filesystem::exists(files.audit_public_key(), error)) CAPF_TRY(write_public_half(files, *key));
  } else {
    if (on_record) return another_key(files);
    CAPF_LET(key, make_audit_key(files, passphrase));
    log_info("audit.key_made", {{"file", files.key(kName).string()}});
  }
  if (on_record && *on_record == key->public_key()) return key;
  if (on_record) return another_key(files);
  CAPF_LET(const Bytes recorded, record_key(database, key->public_key()));
  if (recorded != key->public_key()) return another_key(files);
  return key;
}

}  // namespace capf::daemon
