#include "capf/daemon/issuers.h"

#include <system_error>

#include "capf/ca/asn1.h"

namespace capf::daemon {
namespace {

const std::string kWaiting = "issuer-next";  // NOLINT(cert-err58-cpp)

/// Renames a file of an add that was not recorded. It is not removed, because it may hold the only copy of a key.
Status set_aside(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return {};
  std::filesystem::rename(path, path.string() + ".leftover", error);
  if (error) return fail(Reason::kInvalidConfiguration, path.string() + ": " + error.message());
  return {};
}

Status remove_file(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::remove(path, error);
  if (error) return fail(Reason::kInvalidConfiguration, path.string() + ": " + error.message());
  return {};
}

}  // namespace

Result<ca::TokenAccess> token_access(const TokenSettings& settings) {
  ca::TokenAccess access;
  access.module = settings.module;
  access.sessions = settings.sessions;
  const std::string& source = settings.pin;
  if (source.starts_with("fd:") || source.starts_with("env:")) {
    CAPF_LET(Secret pin, read_secret(source));
    access.pin = [kept = std::make_shared<const Secret>(std::move(pin))]() -> Result<Secret> {
      return Secret(kept->view());
    };
  } else if (!source.empty()) {
    access.pin = [source] { return read_secret(source); };
  }
  return access;
}

/// Checks that the passphrase was not changed while this server runs: a key under the former one would not open at the
/// next start.
Status IssuerFiles::check_passphrase() const {
  const std::string name = "site-ca";
  CAPF_LET(const Secret pem, read_secret_file(files_.key(name)));
  if (ca::decrypt_key(pem.view(), passphrase_)) return {};
  return fail(Reason::kWrongPassphrase,
              "the passphrase of the keys was changed since this server started: restart it first");
}

Status IssuerFiles::keep(std::int64_t id, const ca::ImportedAuthority& authority) {
  const std::string name = issuer_name(id);
  CAPF_LET(const FolderLock lock, FolderLock::take(files_.keys()));
  CAPF_TRY(check_passphrase());
  CAPF_TRY(set_aside(files_.key(name)));
  CAPF_TRY(set_aside(files_.uri(name)));
  CAPF_TRY(set_aside(files_.certificate(name)));
  CAPF_TRY(write_identity(files_, name, *authority.key, authority.certificate, authority.chain, passphrase_));
  CAPF_TRY(sync_folder(files_.keys()));
  return sync_folder(files_.certificates());
}

Result<std::unique_ptr<ca::SigningKey>> IssuerFiles::open_file(const std::string& name) {
  const auto path = files_.key(name);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return nullptr;
  CAPF_LET(const Secret pem, read_secret_file(path));
  auto key = ca::decrypt_key(pem.view(), passphrase_);
  if (!key) return fail(key.error().reason, path.string() + ": " + key.error().message, key.error().cause);
  return key;
}

Result<std::unique_ptr<ca::SigningKey>> IssuerFiles::open(const IssuerRecord& record) {
  const std::string name = issuer_name(record.id);
  CAPF_LET(const auto uri, read_uri(files_, name));
  if (!uri) return open_file(name);
  const auto certificate = ca::read_outline(record.der);
  if (!certificate) return fail(Reason::kInvalidConfiguration, name + "'s certificate on record cannot be read");
  return tokens_.open(*uri, certificate->public_key);
}

Result<std::unique_ptr<ca::SigningKey>> IssuerFiles::open_in_token(const std::string& uri,
                                                                   std::optional<ca::KeyAlgorithm> make) {
  CAPF_TRY(ca::check_token_uri(uri));
  // A library is code, so a remote administrator must not choose it.
  if (const std::string module = ca::module_of(uri); !module.empty() && module != module_) {
    return fail(Reason::kInvalidRequest, "the library of the tokens is the server's own setting, token.module");
  }
  return make ? tokens_.generate(uri, *make) : tokens_.find(uri);
}

Status IssuerFiles::keep_waiting(const ca::SigningKey& key) {
  CAPF_LET(const FolderLock lock, FolderLock::take(files_.keys()));
  CAPF_TRY(check_passphrase());
  std::error_code error;
  for (const auto& path : {files_.key(kWaiting), files_.uri(kWaiting)}) {
    if (!std::filesystem::exists(path, error)) continue;
    return fail(Reason::kSiteExists,
                "a key waits for its certificate already; remove " + path.string() + " on the server to begin again");
  }
  CAPF_TRY(write_key(files_, kWaiting, key, passphrase_));
  return sync_folder(files_.keys());
}

Result<std::unique_ptr<ca::SigningKey>> IssuerFiles::open_waiting() {
  CAPF_LET(const auto uri, read_uri(files_, kWaiting));
  return uri ? tokens_.find(*uri) : open_file(kWaiting);
}

Status IssuerFiles::forget_waiting() {
  CAPF_TRY(remove_file(files_.key(kWaiting)));
  CAPF_TRY(remove_file(files_.uri(kWaiting)));
  return sync_folder(files_.keys());
}

}  // namespace capf::daemon
