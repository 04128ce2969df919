#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/base/secret.h"
#include "capf/ca/authstring.h"
#include "capf/ca/key.h"
#include "capf/ca/token.h"

namespace capf::daemon {

/// The paths of a site's files, below its state directory.
struct SiteFiles {
  std::filesystem::path root;

  std::filesystem::path configuration() const { return root / "capfd.toml"; }
  std::filesystem::path keys() const { return root / "keys"; }                  ///< 0700
  std::filesystem::path certificates() const { return root / "certificates"; }  ///< PEM, with their chains
  std::filesystem::path administrators() const { return root / "admin"; }       ///< 0700
  std::filesystem::path crls() const { return root / "crls"; }                  ///< 0700: the newest of each shard
  std::filesystem::path endpoints() const { return root / "endpoints.json"; }
  /// @param name "issuer-1", "site-ca", "server", "wire", "list-signer", "audit": encrypted PKCS #8, PEM
  std::filesystem::path key(const std::string& name) const { return keys() / (name + ".key"); }
  std::filesystem::path certificate(const std::string& name) const { return certificates() / (name + ".pem"); }
  /// The name of the certificate that this server uses of a purpose that phones know: "wire", "tvs", "list-signer";
  /// absent: the first.
  std::filesystem::path shown(const std::string& first) const { return certificates() / (first + ".shown"); }
  std::filesystem::path wire_shown() const { return shown("wire"); }
  /// Of a key that is in a token, in place of key(): an RFC 7512 URI
  std::filesystem::path uri(const std::string& name) const { return keys() / (name + ".uri"); }
  /// PKCS #10, PEM, for a key that waits for its certificate
  std::filesystem::path request(const std::string& name) const { return certificates() / (name + ".csr"); }
  /// SubjectPublicKeyInfo, PEM: verifiers of the record trust it.
  std::filesystem::path audit_public_key() const { return certificates() / "audit.pub"; }
  /// The marks of what this server has seen signed, apart from the database.
  std::filesystem::path marks() const { return keys() / "high-water"; }
  /// The withdrawals that this server has seen, apart from the database.
  std::filesystem::path journal() const { return keys() / "journal"; }
  /// The recovery word, made at each start: a caller that sends it has access to this machine.
  std::filesystem::path recovery_word() const { return root / "recovery-word"; }
  /// 32 octets, under which authentication strings are hashed.
  std::filesystem::path string_key() const { return keys() / "strings.key"; }
  /// The recovery signer's key as an init leaves it, to be taken away.
  std::filesystem::path recovery_key() const { return root / "recovery-signer.key"; }
  /// A key under which secrets are encrypted in the database, itself encrypted as the others are.
  std::filesystem::path secrets_key(int generation) const { return key("secrets-" + std::to_string(generation)); }
};

/// "issuer-<generation>"
std::string issuer_name(std::int64_t id);

/// A key of the site with its certificate.
struct Identity {
  std::unique_ptr<ca::SigningKey> key;
  std::vector<Bytes> chain;  ///< DER, its own certificate first
};

/// The keys and certificates of a server, opened.
struct Secrets {
  Identity site_ca;
  Identity server;
  Identity wire;
  ca::StringKey strings;
};

/// Opens one key of the site and its certificate, and checks that they belong together.
/// Errors: SECRET_EXPOSED, WRONG_PASSPHRASE, INVALID_CONFIGURATION.
Result<Identity> open_identity(const SiteFiles& files, const std::string& name, const Secret& passphrase);

/// The same, where the key may be in a token, which may be away now. Errors: those of Tokens::open() too.
Result<Identity> open_identity(const SiteFiles& files, const std::string& name, const Secret& passphrase,
                               ca::Tokens& tokens);

/// The certificates of `name`, its own first: one at least. Errors: INVALID_CONFIGURATION.
Result<std::vector<Bytes>> read_chain(const SiteFiles& files, const std::string& name);
/// The certificates, in PEM.
Bytes chain_pem(const std::vector<Bytes>& chain);
/// Writes a new key, encrypted; of one in a token, its URI.
Status write_key(const SiteFiles& files, const std::string& name, const ca::SigningKey& key, const Secret& passphrase);
/// The URI of a key in a token; nothing where the key is in a file, or is not there at all.
/// Errors: INVALID_CONFIGURATION where there are both, SECRET_EXPOSED.
Result<std::optional<std::string>> read_uri(const SiteFiles& files, const std::string& name);
/// Writes a new key, as write_key(), and its certificate.
Status write_identity(const SiteFiles& files, const std::string& name, const ca::SigningKey& key, BytesView certificate,
                      const std::vector<Bytes>& above, const Secret& passphrase);

/// Opens every key of the site but the issuers', and checks each against its certificate.
/// Errors: SECRET_EXPOSED, WRONG_PASSPHRASE, NO_SITE, INVALID_CONFIGURATION.
Result<Secrets> open_secrets(const SiteFiles& files, const Secret& passphrase);

/// A file that is not secret, at most 1 MiB. Errors: INVALID_CONFIGURATION.
Result<Bytes> read_file(const std::filesystem::path& path);

/// Holds a folder for this process alone, until it goes.
class FolderLock {
 public:
  /// Errors: INVALID_CONFIGURATION where another process holds it.
  static Result<FolderLock> take(const std::filesystem::path& folder);
  FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock();

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_;
};

/// Syncs a folder to disk after a rename in it.
Status sync_folder(const std::filesystem::path& folder);

}  // namespace capf::daemon
