#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <botan/rng.h>

#include "capf/base/time.h"
#include "capf/ca/key.h"
#include "capf/daemon/configuration.h"
#include "capf/daemon/recovery_key.h"
#include "capf/daemon/site.h"
#include "capf/domain/administrator.h"
#include "capf/domain/database.h"
#include "capf/domain/issuer.h"

namespace capf::daemon {

struct InitOptions {
  std::filesystem::path state;
  int base_port = kBasePort;
  std::string database;        ///< libpq's connection string of the server's role
  std::string database_owner;  ///< and of the role that owns the schema
  std::string passphrase;      ///< its source, for read_secret()
  /// Of a new issuer; absent: RSA-2048 in a file, or the key that is in the token.
  std::optional<ca::KeyAlgorithm> key;
  std::string key_uri;      ///< RFC 7512: where in a token the issuer's key is, or is to be; empty: in a file
  TokenSettings token;      ///< the access to that token
  int days = 3650;          ///< the issuer's validity, 1 to 36500
  std::string public_host;  ///< empty: the machine's full name
  std::string subject;      ///< of the issuer, RFC 4514; empty: CN=CAPF-<8 hex digits>
  std::string administrator = "admin";

  std::filesystem::path import_certificate;  ///< PEM, with its chain
  std::filesystem::path import_key;          ///< PEM
  std::filesystem::path import_pkcs12;       ///< in place of these two
  std::string import_passphrase;             ///< its source, for read_secret(); empty: none

  bool csr_only = false;              ///< make only the issuer's key and a request for its certificate
  std::filesystem::path certificate;  ///< PEM, with its chain: the answer to that request

  RecoveryKeyPlace recovery;  ///< with an empty file: SiteFiles::recovery_key()
  bool phone_files = false;   ///< of a site that exists: make_phone_keys()
};

/// The records of a new site for the database.
struct SiteRecords {
  IssuerRecord issuer;
  Administrator administrator;
  std::vector<std::pair<KeyDigests, KeyOwner>> keys;
  Bytes audit_key;         ///< SubjectPublicKeyInfo
  Sha256 secrets_check{};  ///< of the first key for secrets
  std::string host;
};

/// Makes every file of a site in `folder`, which must be empty: keys/, certificates/, admin/, the recovery signer's key
/// and capfd.toml.
/// Errors: INVALID_CONFIGURATION, INVALID_NAME, WRONG_PASSPHRASE, INVALID_CERTIFICATE, SECRET_EXPOSED.
Result<SiteRecords> make_site_files(const InitOptions& options, const Secret& passphrase,
                                    const std::filesystem::path& folder, TimePoint now,
                                    Botan::RandomNumberGenerator& random);

/// Records issuer, administrator and keys in one transaction. Errors: SITE_EXISTS where the database has an issuer.
Status record_site(Database& database, const SiteRecords& records);

/// Moves the files of a site to their final places, capfd.toml last: from `<state>/.prepared`, as far as they are still
/// there.
Status move_in(const SiteFiles& files);

/// Makes the issuer's key, and a request for the CA that is to sign its certificate offline. Both wait in
/// `<state>/request`.
/// @return words for people. Errors: SITE_EXISTS where there is a site, or a request waits; those of tokens.
Result<std::string> make_request(const InitOptions& options, Botan::RandomNumberGenerator& random);

/// Makes a site. The files are made aside (`.new`), renamed when complete (`.prepared`), then the database records the
/// site, then they are moved in. The next init clears away one that was cut off, or completes it where the database has
/// recorded it. @return words for people about the new site.
/// Errors: SITE_EXISTS, and those of make_site_files() and of the database.
Result<std::string> init(const InitOptions& options, const Clock& clock, Botan::RandomNumberGenerator& random);

/// Removes the files of an init that was cut off before they were complete.
/// @return whether a complete one is prepared, which may be on record. Errors: SITE_EXISTS.
Result<bool> clear_leftovers(const SiteFiles& files);

}  // namespace capf::daemon
