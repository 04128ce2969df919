#include "capf/daemon/init.h"

#include <algorithm>

#include <botan/pem.h>
#include <sys/stat.h>

#include "capf/base/address.h"
#include "capf/base/endpoint.h"
#include "capf/base/secret.h"
#include "capf/ca/certificate.h"
#include "capf/ca/site.h"
#include "capf/ca/spki.h"
#include "capf/ca/token.h"
#include "capf/daemon/audit_key.h"
#include "capf/daemon/host.h"
#include "capf/daemon/issuers.h"
#include "capf/daemon/key_purposes.h"
#include "capf/daemon/phone_certificates.h"
#include "capf/daemon/renewal.h"
#include "capf/daemon/secrets_files.h"
#include "capf/domain/administrator.h"
#include "capf/domain/administrator_store.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/issuer_store.h"
#include "capf/domain/key_store.h"
#include "capf/domain/seal_store.h"
#include "capf/domain/secrets_key_store.h"
#include "storage/database.h"
#include "storage/migrate.h"

namespace capf::daemon {
namespace {

using std::chrono::hours;

constexpr hours kDay{24};
constexpr hours kAdministratorValidity = kDay * 1825;
constexpr std::size_t kStringKeySize = 32;
constexpr std::int64_t kFirstIssuer = 1;

Status make_folder(const std::filesystem::path& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 || ::chmod(path.c_str(), mode) != 0) {
    return fail(Reason::kInvalidConfiguration, "the folder " + path.string() + " cannot be made");
  }
  return {};
}

Result<ca::ImportedAuthority> import_authority(const InitOptions& options) {
  Secret passphrase;
  if (!options.import_passphrase.empty()) {
    CAPF_LET(passphrase, read_secret(options.import_passphrase));
  }
  if (!options.import_pkcs12.empty()) {
    CAPF_LET(const Secret file, read_secret_file(options.import_pkcs12));
    return ca::import_pkcs12(file.view(), passphrase);
  }
  CAPF_LET(const Bytes certificates, read_file(options.import_certificate));
  CAPF_LET(const Secret key, read_secret_file(options.import_key));
  return ca::import_pem(certificates, key.view(), passphrase);
}

/// The folder in which a key and its request wait for the certificate.
SiteFiles waiting(const std::filesystem::path& root) { return SiteFiles{root / "request"}; }

Result<std::unique_ptr<ca::SigningKey>> make_issuer_key(const InitOptions& options) {
  if (options.key_uri.empty()) return ca::generate_key(options.key.value_or(ca::KeyAlgorithm::kRsa2048));
  CAPF_LET(auto access, token_access(options.token));
  ca::Tokens tokens(std::move(access));
  return options.key ? tokens.generate(options.key_uri, *options.key) : tokens.find(options.key_uri);
}

Result<std::unique_ptr<ca::SigningKey>> open_waiting_key(const InitOptions& options, const Secret& passphrase) {
  const SiteFiles files = waiting(options.state);
  const std::string name = issuer_name(kFirstIssuer);
  CAPF_LET(const auto uri, read_uri(files, name));
  if (uri) {
    CAPF_LET(auto access, token_access(options.token));
    ca::Tokens tokens(std::move(access));
    return tokens.find(*uri);
  }
  CAPF_LET(const Secret pem, read_secret_file(files.key(name)));
  return ca::decrypt_key(pem.view(), passphrase);
}

/// A new site's. Its configuration may change it later, and says so of issuers that are added then.
constexpr SubjectForm kSubjectForm = SubjectForm::kPlain;

/// The CAPF issuer: an imported one, one whose certificate has come, or a new one.
Result<ca::ImportedAuthority> issuer_authority(const InitOptions& options, const Secret& passphrase, TimePoint now,
                                               Botan::RandomNumberGenerator& random) {
  if (!options.certificate.empty()) {
    CAPF_LET(auto key, open_waiting_key(options, passphrase));
    CAPF_LET(const Bytes certificates, read_file(options.certificate));
    CAPF_LET(auto answered, ca::import_certificates(certificates, std::move(key)));
    CAPF_TRY(ca::check_capf_certificate(answered, kSubjectForm, now, random));
    return answered;
  }
  if (!options.import_certificate.empty() || !options.import_pkcs12.empty()) {
    CAPF_LET(auto imported, import_authority(options));
    CAPF_TRY(ca::check_capf_certificate(imported, kSubjectForm, now, random));
    return imported;
  }
  ca::ImportedAuthority made;
  CAPF_LET(made.key, make_issuer_key(options));
  const ca::AuthorityRequest request{options.subject, now, kDay * options.days};
  CAPF_LET(made.certificate, ca::make_capf_certificate(*made.key, request, random));
  return made;
}

std::string host_of(const InitOptions& options) {
  return options.public_host.empty() ? full_host_name() : options.public_host;
}

/// The host becomes part of certificates and addresses, which allow no underscore and no zone.
Status check_host(const InitOptions& options) {
  if (is_host(host_of(options))) return {};
  const std::string wanted =
      "no host name (letters, digits, '-' and '.') and no IP address without a zone, as certificates and addresses "
      "need";
  if (!options.public_host.empty()) {
    return fail(Reason::kInvalidConfiguration, "--public-host '" + options.public_host + "' is " + wanted);
  }
  return fail(Reason::kInvalidConfiguration,
              "this machine is called '" + full_host_name() + "', which is " + wanted +
                  ": say --public-host NAME, by which phones and relying parties reach it");
}

Status check_options(const InitOptions& options) {
  if (options.base_port < 0 || options.base_port > 65526) {
    return fail(Reason::kInvalidConfiguration, "a base port is a number from 0 to 65526");
  }
  if (options.days < 1 || options.days > ca::kLongestValidity.count()) {
    return fail(Reason::kInvalidConfiguration, "the issuer is valid for 1 to 36500 days");
  }
  if (options.import_certificate.empty() != options.import_key.empty()) {
    return fail(Reason::kInvalidConfiguration, "a certificate and its key are imported together");
  }
  const bool imports = !options.import_certificate.empty() || !options.import_pkcs12.empty();
  if (!options.import_certificate.empty() && !options.import_pkcs12.empty()) {
    return fail(Reason::kInvalidConfiguration, "either PEM files or a PKCS #12 file is imported, not both");
  }
  if (imports && !options.subject.empty()) {
    return fail(Reason::kInvalidConfiguration, "an imported certificate has its subject already");
  }
  const bool answers = !options.certificate.empty();
  if ((imports && (options.csr_only || answers || !options.key_uri.empty())) || (answers && options.csr_only)) {
    return fail(Reason::kInvalidConfiguration,
                "an import, a key in a token, a request and its certificate are different ways to begin");
  }
  if (answers && (options.key || !options.key_uri.empty() || !options.subject.empty())) {
    return fail(Reason::kInvalidConfiguration, "the certificate of a request has its key and subject already");
  }
  if (!options.csr_only) CAPF_TRY(check_host(options));
  if (!options.key_uri.empty()) CAPF_TRY(ca::check_token_uri(options.key_uri));
  if (!options.subject.empty()) CAPF_TRY(ca::check_subject(options.subject));
  return check_administrator_name(options.administrator);
}

/// The source in the configuration's form: a file below the state directory relative to it, another one absolute.
std::string stored_source(const std::string& source, const std::filesystem::path& state) {
  if (!source.starts_with("file:")) return source;
  const auto path = std::filesystem::absolute(source.substr(5)).lexically_normal();
  const auto below = path.lexically_relative(std::filesystem::absolute(state).lexically_normal());
  const bool inside = !below.empty() && *below.begin() != "..";
  return "file:" + (inside ? below : path).string();
}

std::string token_text(const InitOptions& options) {
  const TokenSettings& token = options.token;
  if (token.module.empty() && token.pin.empty()) return "";
  std::string text = "\n[token]\n";
  if (!token.module.empty()) text += "module = " + toml_text(token.module) + "\n";
  if (!token.pin.empty()) text += "pin = " + toml_text(stored_source(token.pin, options.state)) + "\n";
  return text;
}

std::string configuration_text(const InitOptions& options, const std::string& host) {
  return "# The settings of this site that are not the defaults. The example capfd.toml in the documentation has "
         "every\n"
         "# key with its unit and its default; 'capfd check-config --state DIR' checks this file.\n\n"
         "base_port = " +
         std::to_string(options.base_port) +
         "\n"
         "public_host = " +
         toml_text(host) +
         "\n"
         "passphrase = " +
         toml_text(stored_source(options.passphrase, options.state)) +
         "\n"
         "\n[database]\n"
         "server = " +
         toml_text(options.database) +
         "\n"
         "owner = " +
         toml_text(options.database_owner) + "\n" + token_text(options);
}

std::filesystem::path unfinished(const SiteFiles& files) { return files.root / ".new"; }
std::filesystem::path prepared(const SiteFiles& files) { return files.root / ".prepared"; }

Status as_status(const std::error_code& error, const std::filesystem::path& path) {
  if (!error) return {};
  return fail(Reason::kInvalidConfiguration, path.string() + ": " + error.message());
}

Status remove_folder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  return as_status(error, path);
}

Status rename_path(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code error;
  std::filesystem::rename(from, to, error);
  return as_status(error, to);
}

/// Removes a prepared site that is not on record. Renamed first, so that a crash leaves no half-prepared site.
Status discard_prepared(const SiteFiles& files) {
  CAPF_TRY(rename_path(prepared(files), unfinished(files)));
  return remove_folder(unfinished(files));
}

tl::unexpected<Error> request_waits(const std::filesystem::path& root) {
  const SiteFiles place = waiting(root);
  return fail(Reason::kSiteExists,
              "a request waits for its certificate: " + place.request(issuer_name(kFirstIssuer)).string() +
                  "; 'capfd init --certificate FILE' goes on with it. To begin again, remove " + place.root.string());
}

/// The SHA-256 of the issuer that an init has prepared, whether or not it is moved in yet.
Result<Sha256> prepared_issuer(const SiteFiles& files) {
  const std::string name = issuer_name(kFirstIssuer);
  const SiteFiles aside{prepared(files)};
  std::error_code error;
  const bool is_aside = std::filesystem::exists(aside.certificate(name), error);
  CAPF_LET(const Bytes pem, read_file((is_aside ? aside : files).certificate(name)));
  CAPF_LET(const auto chain, ca::split_certificates(pem, ca::kLongestChain));
  if (chain.empty()) return fail(Reason::kInvalidCertificate);
  return sha256(chain.front());
}

/// Where an init leaves the recovery signer's key.
RecoveryKeyPlace recovery_of(const SiteFiles& files, const std::string& passphrase = {}) {
  return {files.recovery_key(), passphrase};
}

/// The keys whose certificates phones know. @return them for the record
Result<std::vector<std::pair<KeyDigests, KeyOwner>>> make_keys_of_phones(const InitOptions& options,
                                                                         const std::string& host,
                                                                         const Secret& passphrase,
                                                                         const SiteFiles& files, TimePoint now,
                                                                         Botan::RandomNumberGenerator& random) {
  std::vector<std::pair<KeyDigests, KeyOwner>> made;
  for (const KeyPurpose* purpose : key_purposes()) {
    CAPF_LET(const auto key, ca::generate_key(purpose->algorithm));
    CAPF_LET(const Bytes certificate, make_certificate(*purpose, *key, host, now, kServerValidity, random));
    if (purpose == &recovery_signer_purpose()) {
      CAPF_TRY(write_recovery_key(*key, recovery_of(files, options.recovery.passphrase), random));
      CAPF_TRY(write_new_file(files.certificate(purpose->first), chain_pem({certificate})));
    } else {
      CAPF_TRY(write_identity(files, purpose->first, *key, certificate, {}, passphrase));
    }
    made.emplace_back(ca::key_digests(key->public_key()), KeyOwner::kSite);
  }
  return made;
}

/// Moves the recovery signer's key to where the administrator wants it, which may be another file system. @return its
/// place
Result<RecoveryKeyPlace> hand_over(const SiteFiles& files, const InitOptions& options) {
  const RecoveryKeyPlace here = recovery_of(files, options.recovery.passphrase);
  if (options.recovery.file.empty()) return here;  // std::filesystem::absolute() throws for an empty path
  const auto wanted = std::filesystem::absolute(options.recovery.file).lexically_normal();
  if (wanted == here.file) return here;
  const RecoveryKeyPlace there{wanted, options.recovery.passphrase};
  if (const Status moved = move_recovery_key(here, there); !moved) {
    return fail(
        moved.error().reason,
        "the site is made, and the recovery signer's key stays in " + here.file.string() + ": " + moved.error().message,
        moved.error().cause);
  }
  return there;
}

/// Before anything is made: no file is overwritten.
Status check_recovery(const InitOptions& options) {
  const RecoveryKeyPlace& place = options.recovery;
  if (place.file.empty()) return {};
  std::vector<std::filesystem::path> files{place.file};
  if (place.passphrase.empty()) files.push_back(place.generated_passphrase());
  for (const auto& file : files) {
    std::error_code error;
    if (!std::filesystem::exists(file, error)) continue;
    return fail(Reason::kSiteExists, file.string() + " exists: the recovery signer's key overwrites nothing");
  }
  return {};
}

}  // namespace

Result<SiteRecords> make_site_files(const InitOptions& options, const Secret& passphrase,
                                    const std::filesystem::path& folder, TimePoint now,
                                    Botan::RandomNumberGenerator& random) {
  CAPF_TRY(check_options(options));
  CAPF_LET(const auto issuer, issuer_authority(options, passphrase, now, random));
  const SiteFiles files{folder};
  CAPF_TRY(make_folder(files.keys(), 0700));
  CAPF_TRY(make_folder(files.certificates(), 0700));
  CAPF_TRY(make_folder(files.administrators(), 0700));
  CAPF_TRY(write_identity(files, issuer_name(kFirstIssuer), *issuer.key, issuer.certificate, issuer.chain, passphrase));

  CAPF_LET(const auto site_key, ca::generate_key(ca::KeyAlgorithm::kP256));
  const ca::AuthorityRequest site_request{"CN=CAPF site CA,O=CAPF", now, kSiteCaValidity};
  CAPF_LET(const Bytes site_certificate, ca::make_site_ca(*site_key, site_request, random));
  CAPF_TRY(write_identity(files, "site-ca", *site_key, site_certificate, {}, passphrase));
  const ca::SiteAuthority site{*site_key, site_certificate};

  SiteRecords records;
  records.host = host_of(options);
  CAPF_LET(const auto server_key, ca::generate_key(ca::KeyAlgorithm::kP256));
  CAPF_LET(const Bytes server_certificate,
           ca::make_server_certificate(site, server_key->public_key(), server_hosts(records.host), now, kServerValidity,
                                       random));
  CAPF_TRY(write_identity(files, "server", *server_key, server_certificate, {site_certificate}, passphrase));

  CAPF_LET(records.keys, make_keys_of_phones(options, records.host, passphrase, files, now, random));
  CAPF_LET(const auto administrator_key, ca::generate_key(ca::KeyAlgorithm::kP256));
  CAPF_LET(const Bytes administrator_certificate,
           ca::make_administrator_certificate(site, administrator_key->public_key(), options.administrator, now,
                                              kAdministratorValidity, random));
  CAPF_LET(const Secret administrator_pem, administrator_key->private_pem());
  const auto administrator_file = files.administrators() / options.administrator;
  CAPF_TRY(write_new_secret_file(administrator_file.string() + ".key", administrator_pem.view()));
  CAPF_TRY(
      write_new_file(administrator_file.string() + ".pem", chain_pem({administrator_certificate, site_certificate})));

  CAPF_LET(const auto audit_key, make_audit_key(files, passphrase));
  CAPF_TRY(write_new_secret_file(files.string_key(), Secret(random.random_vec(kStringKeySize)).view()));
  CAPF_LET(records.secrets_check, make_secrets_key(files, passphrase, kFirstSecrets, random));
  CAPF_TRY(write_new_secret_file(files.configuration(), as_bytes(configuration_text(options, records.host))));
  CAPF_TRY(read_configuration(files.configuration()));  // 'capfd run' must accept the new file

  CAPF_LET(const auto issuer_facts, ca::read_certificate(issuer.certificate));
  CAPF_LET(const auto administrator_facts, ca::read_certificate(administrator_certificate));
  records.issuer = {.id = kFirstIssuer,
                    .subject = issuer_facts.subject,
                    .sha256 = issuer_facts.sha256,
                    .der = issuer.certificate,
                    .chain_der = {},
                    .not_before = issuer_facts.not_before,
                    .not_after = issuer_facts.not_after,
                    .active = true,
                    .shards = 1};
  for (const Bytes& above : issuer.chain) {
    records.issuer.chain_der.insert(records.issuer.chain_der.end(), above.begin(), above.end());
  }
  records.administrator = {.name = options.administrator,
                           .role = Role::kAdmin,
                           .certificate_sha256 = administrator_facts.sha256,
                           .certificate_not_after = administrator_facts.not_after,
                           .created_at = now,
                           .created_by = "capfd init",
                           .disabled_at = {}};
  records.audit_key = audit_key->public_key();
  records.keys.insert(records.keys.end(), {{issuer_facts.key, KeyOwner::kIssuer},
                                           {ca::key_digests(site_key->public_key()), KeyOwner::kSite},
                                           {ca::key_digests(server_key->public_key()), KeyOwner::kSite},
                                           {ca::key_digests(records.audit_key), KeyOwner::kSite},
                                           {administrator_facts.key, KeyOwner::kAdministrator}});
  return records;
}

Status record_site(Database& database, const SiteRecords& records) {
  return database.write([&](Transaction& tx) -> Status {
    CAPF_LET(const auto issuers, tx.issuers().list());
    if (!issuers.empty()) {
      return fail(Reason::kSiteExists, "the database has the site of " + issuers.front().subject +
                                           " already; a new site needs a database of its own");
    }
    CAPF_TRY(tx.issuers().add(records.issuer));
    CAPF_LET(const bool added, tx.administrators().add(records.administrator));
    if (!added) return fail(Reason::kSiteExists, "the database has an administrator of this name already");
    for (const auto& [key, owner] : records.keys) {
      CAPF_LET(const KeyRecord record, tx.keys().claim(key, owner, 0));
      if (record.owner != owner) return fail(Reason::kKeyReserved, "a key of the new site is another's on record");
    }
    CAPF_LET(const bool recorded, tx.seals().set_key(records.audit_key));
    if (!recorded) return fail(Reason::kSiteExists, "the database has the audit key of another site already");
    CAPF_LET(const bool first, tx.secrets_keys().add({kFirstSecrets, records.secrets_check, true}));
    if (!first) return fail(Reason::kSiteExists, "the database has secrets of another site already");
    AuditEvent event;
    event.actor = {ActorKind::kSystem, "capfd init", ""};
    event.action = "site.init";
    event.subject = records.host;
    event.detail = "issuer " + records.issuer.subject + ", administrator " + records.administrator.name;
    return tx.audit().add(event);
  });
}

Status move_in(const SiteFiles& files) {
  const SiteFiles aside{prepared(files)};
  const std::pair<std::filesystem::path, std::filesystem::path> moves[]{
      {aside.keys(), files.keys()},
      {aside.certificates(), files.certificates()},
      {aside.administrators(), files.administrators()},
      {aside.recovery_key(), files.recovery_key()},
      {recovery_of(aside).generated_passphrase(), recovery_of(files).generated_passphrase()},
      {aside.configuration(), files.configuration()},
  };
  for (const auto& [from, to] : moves) {
    std::error_code error;
    if (!std::filesystem::exists(from, error)) continue;
    CAPF_TRY(rename_path(from, to));
    CAPF_TRY(sync_folder(files.root));
  }
  return remove_folder(aside.root);
}

Result<bool> clear_leftovers(const SiteFiles& files) {
  std::error_code error;
  const bool is_prepared = std::filesystem::exists(prepared(files), error);
  const bool is_complete = std::filesystem::exists(files.configuration(), error);
  if (is_prepared && is_complete) CAPF_TRY(remove_folder(prepared(files)));
  for (const auto& path : {files.configuration(), files.keys(), files.certificates(), files.administrators(),
                           files.recovery_key(), recovery_of(files).generated_passphrase()}) {
    if ((!is_prepared || is_complete) && std::filesystem::exists(path, error)) {
      return fail(Reason::kSiteExists,
                  path.string() + " exists: there is a site here already; it is never overwritten");
    }
  }
  CAPF_TRY(remove_folder(unfinished(files)));
  return is_prepared;
}

namespace {

/// The state directory, locked for this process, and cleared of the files of an interrupted init.
struct Beginning {
  SiteFiles files;
  FolderLock lock;
  bool is_prepared = false;  ///< an init left a complete site, which may be on record
};

Result<Beginning> begin(const InitOptions& options) {
  CAPF_TRY(check_options(options));
  CAPF_TRY(check_recovery(options));
  const SiteFiles files{std::filesystem::absolute(options.state).lexically_normal()};
  std::error_code error;
  std::filesystem::create_directories(files.root.parent_path(), error);
  CAPF_TRY(as_status(error, files.root));
  if (::mkdir(files.root.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail(Reason::kInvalidConfiguration, "the folder " + files.root.string() + " cannot be made");
  }
  CAPF_TRY(check_own_folder(files.root));
  CAPF_LET(FolderLock lock, FolderLock::take(files.root));
  CAPF_LET(const bool is_prepared, clear_leftovers(files));
  return Beginning{files, std::move(lock), is_prepared};
}

}  // namespace

Result<std::string> make_request(const InitOptions& options, Botan::RandomNumberGenerator& random) {
  CAPF_LET(const Beginning beginning, begin(options));
  const SiteFiles& files = beginning.files;
  std::error_code error;
  if (beginning.is_prepared)
    return fail(Reason::kSiteExists, "an init was cut off here: the same command again finishes it");
  const SiteFiles place = waiting(files.root);
  if (std::filesystem::exists(place.root, error)) return request_waits(files.root);
  CAPF_LET(const Secret passphrase, read_secret(options.passphrase));

  const std::string name = issuer_name(kFirstIssuer);
  const SiteFiles aside{unfinished(files)};
  const auto write = [&]() -> Status {
    CAPF_LET(const auto key, make_issuer_key(options));
    CAPF_LET(const Bytes der, ca::make_capf_request(*key, options.subject, random));
    CAPF_TRY(make_folder(aside.root, 0700));
    CAPF_TRY(make_folder(aside.keys(), 0700));
    CAPF_TRY(make_folder(aside.certificates(), 0700));
    CAPF_TRY(write_key(aside, name, *key, passphrase));
    CAPF_TRY(write_new_file(aside.request(name), as_bytes(Botan::PEM_Code::encode(der, "CERTIFICATE REQUEST"))));
    CAPF_TRY(sync_folder(aside.keys()));
    CAPF_TRY(sync_folder(aside.certificates()));
    CAPF_TRY(rename_path(aside.root, place.root));
    return sync_folder(files.root);
  };
  if (const Status written = write(); !written) {
    CAPF_TRY(remove_folder(aside.root));
    return fail(written.error());
  }
  return "A request for the issuer's certificate is in " + place.request(name).string() +
         ".\nHave your CA sign it: a CA certificate with pathlen 0, keyCertSign, cRLSign and digitalSignature. Then\n"
         "'capfd init --certificate FILE', with FILE in PEM and everything above it, goes on. The key waits in\n" +
         place.keys().string() + "; keep a copy.\n";
}

Result<std::string> init(const InitOptions& options, const Clock& clock, Botan::RandomNumberGenerator& random) {
  CAPF_LET(const Beginning beginning, begin(options));
  const SiteFiles& files = beginning.files;
  std::error_code error;
  const bool waits = std::filesystem::exists(waiting(files.root).root, error);
  if (waits && options.certificate.empty()) return request_waits(files.root);
  if (!waits && !options.certificate.empty() && !beginning.is_prepared) {
    return fail(Reason::kNoSite, "no request waits in " + files.root.string() + "; 'capfd init --csr-only' makes one");
  }
  CAPF_LET(const Secret passphrase, read_secret(options.passphrase));

  CAPF_TRY(storage::migrate(options.database_owner));
  storage::DatabaseSettings settings;
  settings.conninfo = options.database;
  settings.connections = 1;
  CAPF_LET(const auto database, storage::PostgresDatabase::open(settings));
  CAPF_LET(const auto on_record, in_read(*database, [](Transaction& tx) { return tx.issuers().active(); }));
  if (beginning.is_prepared) {
    const auto issuer = prepared_issuer(files);
    if (issuer && on_record && on_record->sha256 == *issuer) {
      CAPF_TRY(move_in(files));
      CAPF_TRY(remove_folder(waiting(files.root).root));
      return "An init that was cut off is finished: the site in " + files.root.string() +
             " is as that one made it.\nThe recovery signer's key is in " + files.recovery_key().string() +
             ": take it away, and keep it offline.\n";
    }
    CAPF_TRY(discard_prepared(files));
  }
  if (on_record) {
    return fail(Reason::kSiteExists, "the database has the site of " + on_record->subject +
                                         " already; a new site needs a database of its own");
  }

  CAPF_TRY(make_folder(unfinished(files), 0700));
  const auto records = make_site_files(options, passphrase, unfinished(files), clock.now(), random);
  if (!records) {
    CAPF_TRY(remove_folder(unfinished(files)));
    return fail(records.error());
  }
  for (const char* folder : {"keys", "certificates", "admin", "."}) CAPF_TRY(sync_folder(unfinished(files) / folder));
  CAPF_TRY(rename_path(unfinished(files), prepared(files)));
  CAPF_TRY(sync_folder(files.root));
  if (const Status recorded = record_site(*database, *records); !recorded) {
    // If the commit is in doubt, keep the files: the next init asks the database.
    if (recorded.error().reason != Reason::kCommitInDoubt) CAPF_TRY(discard_prepared(files));
    return fail(recorded.error());
  }
  CAPF_TRY(move_in(files));
  CAPF_TRY(remove_folder(waiting(files.root).root));
  CAPF_LET(const RecoveryKeyPlace recovery, hand_over(files, options));
  const Configuration made =
      parse_configuration(configuration_text(options, records->host), files.configuration()).configuration;
  std::string doubts;
  for (const std::string& doubt : doubts_of(made)) doubts += "Warning: " + doubt + "\n";
  return "A site for " + records->host + " is made in " + files.root.string() + ".\n" + "  public host    " +
         records->host +
         (options.public_host.empty() ? ", this machine's name; --public-host NAME takes another" : "") +
         "\n                 LSCs will name " + status_url(made) + "\n  issuer         " + records->issuer.subject +
         ", until " + to_rfc3339(records->issuer.not_after) + "\n" + "                 SHA-256 " +
         to_hex(records->issuer.sha256) + "\n" + "  administrator  " +
         (files.administrators() / records->administrator.name).string() + ".pem and .key, until " +
         to_rfc3339(records->administrator.certificate_not_after) + "\n" +
         "                 the record's seals are checked with " + files.audit_public_key().string() + "\n" +
         words_of(recovery) +
         "Keep copies of keys/, certificates/ and the passphrase where nobody else reads them: without them the issuer "
         "is lost.\n" +
         doubts;
}

}  // namespace capf::daemon
