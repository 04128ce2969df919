#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/ca/blacklist.h"
#include "capf/ca/issuers.h"
#include "capf/ca/vault.h"
#include "capf/domain/database.h"
#include "capf/domain/issuer_store.h"
#include "capf/domain/server_store.h"

namespace capf::service {

/// Where this server keeps the keys of issuers. Threads: any.
class IssuerFolder {
 public:
  virtual ~IssuerFolder() = default;
  /// Writes a generation that is not on record yet, so that it outlives this process. Renames files that an earlier try
  /// has left.
  virtual Status keep(std::int64_t id, const ca::ImportedAuthority& authority) = 0;
  /// @return the key, also one whose token is away; null if this server does not have it. Errors: those of opening it.
  virtual Result<std::unique_ptr<ca::SigningKey>> open(const IssuerRecord& record) = 0;
  /// The key in a token that the URI (RFC 7512) names; a new one where `make` says of what kind.
  virtual Result<std::unique_ptr<ca::SigningKey>> open_in_token(const std::string& uri,
                                                                std::optional<ca::KeyAlgorithm> make) = 0;
  /// A key without a certificate, until its request has been answered; one at a time.
  /// Errors: SITE_EXISTS where one waits already.
  virtual Status keep_waiting(const ca::SigningKey& key) = 0;
  /// @return the key that waits for its certificate; null if none does.
  virtual Result<std::unique_ptr<ca::SigningKey>> open_waiting() = 0;
  /// Its certificate has come.
  virtual Status forget_waiting() = 0;
};

/// The next generation: made here, or brought.
struct IssuerRequest {
  std::optional<ca::KeyAlgorithm> key;  ///< of a new one; absent for a key that is in a token already
  std::string token;                    ///< RFC 7512: where in a token the key is, or is to be; empty: in a file
  std::string subject;                  ///< RFC 4514; empty: CN=CAPF-<8 hex digits>,O=CAPF
  int days = 3650;                      ///< 1 to 36500
  std::optional<ca::ImportedAuthority> imported;
  Bytes certificates;  ///< PEM, with its chain, for the key that waits
  int shards = 1;      ///< of its CRL, 1 to 1024
};

struct IssuerView {
  IssuerRecord record;
  IssuerUse use;
  std::vector<ServerRecord> servers;
};

/// The generations of the CAPF certificate: makes them, activates and retires them, and keeps the keys of those on
/// record open on this server. Threads: any.
class Issuers {
 public:
  /// @param server a name of this server that no other one has.
  /// @param status_url as Issuer::make() takes it.
  /// @param lsc_subject of the site's LSCs, with which a generation that is taken is tried out.
  /// @param settings of the site, on which its servers must agree.
  /// @param vault whose generations are recorded beside those of the CAPF certificate.
  Issuers(Database& database, const Clock& clock, ca::Issuers& keys, IssuerFolder& folder, std::string server,
          std::string status_url, SubjectForm lsc_subject, const ca::Blacklist& blacklist, const ca::Vault& vault,
          Botan::RandomNumberGenerator& random, Settings settings = {});

  /// Makes or takes the next generation; it is not used before activate(). Errors: INVALID_REQUEST,
  /// INVALID_CONFIGURATION, INVALID_CERTIFICATE, ISSUER_EXISTS, KEY_RESERVED.
  Result<IssuerRecord> add(const Actor& actor, IssuerRequest request);
  /// Makes the key of the next generation, which waits on this server until its certificate is added.
  /// @return a request (PKCS #10, DER) for the CA that is to sign it. Errors: as add(); SITE_EXISTS where one waits.
  Result<Bytes> make_request(const Actor& actor, const IssuerRequest& request);
  /// From now on this generation issues, on every server; the active one becomes a former one.
  /// @param force also where a server does not have its key and will refuse phones.
  /// Errors: UNKNOWN_ISSUER, ISSUER_RETIRED, ISSUER_EXPIRED, ISSUER_NOT_READY.
  Result<IssuerRecord> activate(const Actor& actor, std::int64_t id, bool force);
  /// Retires a generation for ever: it never issues again.
  /// @param force also where its LSCs are in use: revokes them.
  /// Errors: UNKNOWN_ISSUER, ISSUER_ACTIVE, ISSUER_RETIRED, ISSUER_IN_USE.
  Result<IssuerRecord> retire(const Actor& actor, std::int64_t id, bool force);
  Result<std::vector<IssuerRecord>> list();
  Result<IssuerView> show(std::int64_t id);

  /// Opens the keys. Errors: those of opening one; ISSUER_KEY_ABSENT where the active issuer's is not here;
  /// INVALID_CONFIGURATION where another server of the site has other settings.
  Status start();
  /// Opens keys that have become available, and records for the other servers which ones this one has. Call it every
  /// few seconds.
  /// Errors: those of the database; logs a key that it cannot open.
  Status refresh();
  /// This server is about to end.
  void leave();

 private:
  Status open_key(const IssuerRecord& record);
  Status check_agreement(Transaction& tx) const;

  Database& database_;
  const Clock& clock_;
  ca::Issuers& keys_;
  IssuerFolder& folder_;
  const std::string server_;
  const std::string status_url_;
  const SubjectForm lsc_subject_;
  const ca::Blacklist& blacklist_;
  const ca::Vault& vault_;
  Botan::RandomNumberGenerator& random_;
  std::mutex mutex_;  ///< one refresh at a time
  std::map<std::int64_t, std::string> faults_;
  const Settings settings_;
  bool joined_ = false;  ///< this server is on record, with settings that the others have
};

}  // namespace capf::service
