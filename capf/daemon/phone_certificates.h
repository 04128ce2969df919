#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/base/time.h"
#include "capf/ca/certificate.h"
#include "capf/ca/key.h"
#include "capf/daemon/configuration.h"
#include "capf/daemon/key_purposes.h"
#include "capf/daemon/machine.h"
#include "capf/daemon/recovery_key.h"

// The certificates that phones pin. Their keys are files of each server, or in its token, so these are commands on the
// machine, as `capfd rekey-passphrase` is.

namespace capf::daemon {

/// A self-signed certificate for a key of this purpose.
/// @param host of its subject, and of the names of a file server
/// @param validity up to 100 years. Errors: INVALID_CONFIGURATION, those of tokens.
Result<Bytes> make_certificate(const KeyPurpose& purpose, const ca::SigningKey& key, const std::string& host,
                               TimePoint now, std::chrono::hours validity, Botan::RandomNumberGenerator& random);

/// How the next certificate comes: self-signed, imported, or from a CA of the site's that is asked.
struct NewCertificate {
  int days = 3650;                           ///< of a self-signed one: 1 to 36500
  std::filesystem::path import_certificate;  ///< PEM, with its chain
  std::filesystem::path import_key;          ///< PEM
  std::string import_passphrase;             ///< its source, for read_secret(); empty: none
  bool csr_only = false;                     ///< make the key and a request alone
  std::filesystem::path certificate;         ///< PEM, with its chain: the answer to that request
  std::string key_uri;                       ///< RFC 7512: where in a token the key is; empty: in a file
  bool make_in_token = false;                ///< the key of `key_uri`, which is not there yet
};

/// `capfd wire-certificate add|activate|remove|list` on the machine, and the same for the other purposes. Each change
/// is on record.
/// @return words for people. Errors: those of Machine::open(); INVALID_REQUEST for a name that is not there or in use.
class PhoneCertificates {
 public:
  PhoneCertificates(const Configuration& configuration, const std::optional<std::string>& passphrase,
                    const Clock& clock, const KeyPurpose& purpose)
      : configuration_(configuration), passphrase_(passphrase), clock_(clock), purpose_(purpose) {}

  /// Errors: INVALID_CERTIFICATE for one that phones would not take, KEY_RESERVED for a key that serves something else,
  /// SITE_EXISTS where a request waits already, those of reading, importing and tokens.
  Result<std::string> add(const NewCertificate& wanted, Botan::RandomNumberGenerator& random) const;
  /// Errors: TRUST_LIST_UNFIT and TRUST_LIST_NOT_FETCHED too, where too few phones know it; `force` passes over them.
  Result<std::string> activate(const std::string& name, bool force = false) const;
  /// Errors: INVALID_REQUEST for the signer of the site's trust lists too, and for the next one.
  Result<std::string> remove(const std::string& name) const;
  /// Without the passphrase and the database.
  Result<std::string> list() const;

 private:
  /// The name under which a key waits for its certificate.
  std::string waiting() const { return purpose_.first + "-next"; }
  bool waits(const SiteFiles& files) const;
  Status check(const NewCertificate& wanted) const;
  Status check_there(const SiteFiles& files, const std::string& name) const;
  Result<std::string> next_name(const SiteFiles& files) const;
  Result<std::unique_ptr<ca::SigningKey>> make_key(const NewCertificate& wanted) const;
  Result<ca::ImportedAuthority> make(const Machine& machine, const NewCertificate& wanted,
                                     Botan::RandomNumberGenerator& random) const;
  Result<std::string> request(const Machine& machine, const NewCertificate& wanted,
                              Botan::RandomNumberGenerator& random) const;
  std::string added_words(const SiteFiles& files, const std::string& name, const ca::CertificateFacts& facts) const;

  const Configuration& configuration_;
  const std::optional<std::string>& passphrase_;
  const Clock& clock_;
  const KeyPurpose& purpose_;
};

/// `capfd init --phone-files` on the machine: makes the keys for phones' files that a site lacks, each with a
/// certificate for ten years; on record. Nothing is overwritten. @param recovery where the recovery signer's key goes,
/// if it is made
/// @return words for people. Errors: those of Machine::open() and write_recovery_key().
Result<std::string> make_phone_keys(const Configuration& configuration, const std::optional<std::string>& passphrase,
                                    const RecoveryKeyPlace& recovery, const Clock& clock,
                                    Botan::RandomNumberGenerator& random);

}  // namespace capf::daemon
