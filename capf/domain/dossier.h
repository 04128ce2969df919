#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/domain/certificate.h"
#include "capf/domain/device.h"
#include "capf/domain/issuer.h"
#include "capf/domain/key.h"
#include "capf/domain/operation.h"
#include "capf/domain/phone.h"
#include "capf/domain/setting.h"

namespace capf {

/// A key that a change may claim.
struct KeyClaim {
  KeyDigests key;
  KeyOwner owner = KeyOwner::kPhone;  ///< of the device that the caller names, for kPhone and kMic
};

/// The names under which a caller's facts are on record: read without believing any of them.
struct Enquiry {
  DeviceName device;
  std::vector<Sha256> certificates;   ///< those that were shown, and those that vouch for them
  std::vector<Sha256> keys;           ///< of the same: SubjectPublicKeyInfo, and modulus where there is one
  std::vector<KeyClaim> claims;       ///< the offered key, the MIC's
  std::optional<Sha256> confirmed{};  ///< the certificate that the phone says it has stored
};

/// All that is on record of a device and of what a caller shows in its name, in one snapshot of the database. Absent
/// facts cost the database the same as those that are there.
struct Dossier {
  TimePoint now;               ///< the database's clock at the snapshot
  TimePoint postmaster_start;  ///< of the PostgreSQL server that answered: it tells one server from another
  bool standby = false;        ///< its records may be old, and nothing can be written

  std::optional<Phone> phone;  ///< with its last attempt, without what administrators alone see
  Settings profile;            ///< of its profile, and of its own: what effective_settings() takes
  Settings own;
  std::int64_t revision = 0;        ///< of the phone with its operations and certificates: counted up at each change
  std::optional<Operation> open;    ///< the phone's open operation
  std::optional<Operation> last;    ///< its newest one, open or not
  std::optional<Operation> before;  ///< the one before the newest
  /// Its LSCs that are not revoked for good, oldest first; of those that have expired, the open operation's alone.
  std::vector<Certificate> live;
  LscHistory history;

  std::vector<Certificate> shown;        ///< our LSCs among Enquiry::certificates, of any phone
  std::optional<Certificate> confirmed;  ///< our LSC of Enquiry::confirmed, of any phone
  std::vector<Operation> origins;        ///< that issued `shown` and `confirmed`
  std::vector<IssuerRecord> issuers;     ///< of `shown`, `confirmed` and `live`
  std::vector<Sha256> refused;           ///< of Enquiry::certificates and keys: blocked, or a compromised key
  /// Of Enquiry::claims, in their order, as KeyStore::claim() would find them: another owner's record where the key or
  /// its modulus is another's; compromised and blocked where one of the two is.
  std::vector<std::optional<KeyRecord>> claims;

  std::int64_t trust_revision = 0;  ///< of the trust anchors
  std::optional<std::int64_t> active_issuer;
};

}  // namespace capf
