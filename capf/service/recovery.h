#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capf/domain/administrator.h"
#include "capf/domain/crl_store.h"
#include "capf/domain/database.h"
#include "capf/domain/mode.h"
#include "capf/service/highwater.h"
#include "capf/service/journal.h"
#include "capf/service/published.h"
#include "capf/service/sealer.h"
#include "capf/service/siteclock.h"

namespace capf::service {

/// The state of a site that must not be forgotten: kept beside a backup, and looked at after a restore.
struct SiteState {
  TimePoint at;  ///< by the database's clock
  std::vector<IssuerRecord> issuers;
  std::vector<CrlMark> crls;  ///< the newest of each shard
  std::vector<Administrator> administrators;
  std::vector<TrustAnchor> anchors;
  std::optional<AuditSeal> last_seal;
  SiteMode mode = SiteMode::kNonsecure;
  // The reasons for run(), in words; absent where this server knows of none.
  std::optional<std::string> behind;  ///< what the database lacks
  std::optional<std::string> clock;   ///< records of a future time
  std::optional<std::string> record;  ///< seals that the audit key has not signed
};

/// The rights that an older database may have restored, as checked and confirmed by an administrator.
struct Confirmed {
  std::vector<std::string> administrators;  ///< names of the enabled ones
  std::vector<Sha256> anchors;
  bool clock_is_right = false;     ///< it was ahead when the records of a future time were written
  bool seals_are_made_up = false;  ///< those at the end of the record that the audit key has not signed
};

struct Recovered {
  std::int64_t revocations = 0;  ///< brought back
  std::int64_t unknown = 0;      ///< of them, of LSCs that are not on record any more
  std::int64_t operations = 0;   ///< cancelled
  std::int64_t phones = 0;       ///< blocked, because a key of theirs was revoked as compromised
  std::int64_t seal = 0;         ///< from which the chain continues; 0: it begins again
  std::int64_t made_up = 0;      ///< seals that the chain skips
  std::int64_t withdrawn = 0;    ///< all that this server saw withdrawn and the database had forgotten
};

/// Lets a database that was set back continue, with the data that this server keeps beside it: its CRLs, its marks and
/// its journal of withdrawals. Each of several servers must do it, because each may have served what the others have
/// not. Also lets a site continue whose clock was ahead, or whose record has made-up seals. Threads: any.
class Recovery {
 public:
  Recovery(Database& database, const PublishedCrls& published, Marks& marks, HighWater& high_water, SiteClock& clock,
           Sealer& sealer, Journal& journal)
      : database_(database),
        published_(published),
        marks_(marks),
        high_water_(high_water),
        clock_(clock),
        sealer_(sealer),
        journal_(journal) {}

  Result<SiteState> look();
  /// Brings back the revocations of this server's CRLs and the withdrawals it has seen, cancels every open operation,
  /// and sets the marks back: phones are let in again at the next check of the database against them. Where the
  /// database is not behind, brings back only revocations that it has lost. A run that was cut off is completed by the
  /// next one. Where a clock was ahead or seals are made up, and that is confirmed, the site continues from there.
  /// Errors: NOTHING_TO_RECOVER; CHANGED_MEANWHILE where administrators or anchors are not those that were confirmed;
  /// UNKNOWN_ISSUER for a CRL whose issuer is not on record.
  Result<Recovered> run(const Actor& actor, const Confirmed& confirmed);

 private:
  Status check_confirmed(const Confirmed& confirmed);
  Result<CrlRecord> bring_back(const Actor& actor, const PublishedCrl& crl, Recovered& done);
  Status put_back(const PublishedCrl& crl, const CrlRecord& record);
  Status withdraw_again(const Actor& actor, Recovered& done);
  Status cancel_operations(const Actor& actor, Recovered& done);
  Status look_anew();

  Database& database_;
  const PublishedCrls& published_;
  Marks& marks_;
  HighWater& high_water_;
  SiteClock& clock_;
  Sealer& sealer_;
  Journal& journal_;
};

}  // namespace capf::service
