#pragma once

#include <mutex>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/base/time.h"
#include "capf/ca/blacklist.h"
#include "capf/ca/request.h"
#include "capf/ca/site.h"
#include "capf/domain/administrator.h"
#include "capf/domain/database.h"
#include "capf/service/highwater.h"

namespace capf::service {

struct NewAdministrator {
  Administrator administrator;
  Bytes certificate;         ///< DER
  std::vector<Bytes> chain;  ///< DER: the site CA
};

struct Recognised {
  Administrator administrator;
  Status clock;  ///< CLOCK_SKEW where a clock may be wrong
  Status level;  ///< DATABASE_BEHIND where the database was set back
};

/// The administrators of the site. Threads: any.
class Administrators {
 public:
  /// @param site_key of the site CA; it outlives this.
  Administrators(Database& database, const ca::SigningKey& site_key, BytesView site_certificate, const Clock& clock,
                 const HighWater& high_water, const ca::Blacklist& blacklist, Botan::RandomNumberGenerator& random)
      : database_(database),
        site_key_(site_key),
        clock_(clock),
        high_water_(high_water),
        blacklist_(blacklist),
        random_(random) {
    set_site_certificate(site_certificate);
  }

  /// The site CA has another certificate for the same key.
  void set_site_certificate(BytesView certificate) {
    const std::lock_guard lock(mutex_);
    site_certificate_.assign(certificate.begin(), certificate.end());
  }

  /// @param request PKCS #10, DER. @param detail for the record, besides the role. Errors: INVALID_NAME,
  /// ADMINISTRATOR_EXISTS, CLOCK_SKEW, those of the request and the key.
  Result<NewAdministrator> add(const Actor& actor, const std::string& name, Role role, BytesView request,
                               const std::string& detail = {});
  /// Gives an administrator another certificate, beside which the one of before counts for kFormerCertificateCounts.
  /// @param caller as judged for this call: their own certificate is renewed in the last third of its life, and an
  /// admin renews those of others at any time. @param name empty: the caller's. Errors: those of add(),
  /// RENEWAL_TOO_EARLY, ROLE_DENIED, UNKNOWN_ADMINISTRATOR, also for a disabled one; CHANGED_MEANWHILE.
  Result<NewAdministrator> renew(const Actor& actor, const Administrator& caller, const std::string& name,
                                 BytesView request);
  /// Enables a disabled administrator, with the role of before and another certificate, because the one of before is
  /// refused for ever. Errors: those of add(), UNKNOWN_ADMINISTRATOR.
  Result<NewAdministrator> enable(const Actor& actor, const std::string& name, BytesView request);
  /// Holds from the next call on. Errors: UNKNOWN_ADMINISTRATOR, also for a disabled one; LAST_ADMINISTRATOR.
  Result<Administrator> change_role(const Actor& actor, const std::string& name, Role role);
  Result<std::vector<Administrator>> list();
  /// Errors: UNKNOWN_ADMINISTRATOR, LAST_ADMINISTRATOR.
  Status disable(const Actor& actor, const std::string& name);
  /// The administrator of that certificate, judged now, by its SHA-256 on record alone. An administrator whom this
  /// server has seen disabled stays so, also where an older database is restored. Errors: ADMINISTRATOR_UNKNOWN,
  /// ADMINISTRATOR_DISABLED, CERTIFICATE_EXPIRED.
  Result<Recognised> recognise(const Sha256& certificate);

 private:
  /// The key of a request, which an administrator may have. Errors: those of the request and the key.
  Result<ca::OfferedKey> read_key(BytesView request) const;
  /// Makes the certificate, and writes the administrator down.
  Result<NewAdministrator> appoint(Transaction& tx, const Actor& actor, const std::string& name, Role role,
                                   const ca::OfferedKey& key);
  /// The administrator of that name, who is enabled. Errors: UNKNOWN_ADMINISTRATOR.
  Result<Administrator> find_enabled(Transaction& tx, const std::string& name) const;

  Database& database_;
  const ca::SigningKey& site_key_;
  const Clock& clock_;
  const HighWater& high_water_;
  const ca::Blacklist& blacklist_;
  Botan::RandomNumberGenerator& random_;
  std::mutex mutex_;
  Bytes site_certificate_;
};

}  // namespace capf::service
