#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capf/base/error.h"
#include "capf/domain/certificate.h"
#include "capf/domain/operation.h"
#include "capf/domain/store.h"

namespace capf {

/// An LSC as it stands on record, with what must stand beside it.
struct IssuedRecord {
  Certificate certificate;
  Bytes issuer_der;  ///< of the issuer on record, and behind it of what stands above it; empty where there is none
  int shards = 1;    ///< of that issuer
  std::optional<Operation> operation;
  bool issue_event = false;  ///< whether the record of the operation tells that it was issued
  int same_serial = 0;       ///< LSCs of any issuer with this serial number, itself among them
  std::optional<KeyRecord> key;

  struct Revocation {
    int shard = 0;
    TimePoint revoked_at;
    int reason = 0;
    TimePoint expires_at;
  };
  std::optional<Revocation> revocation;  ///< as CRLs and OCSP read it
};

/// What the checker reads.
class CheckStore {
 public:
  virtual ~CheckStore() = default;
  /// LSCs that were issued later than `since`, or then and have a greater id than `after`, in this order.
  virtual Result<std::vector<IssuedRecord>> issued(TimePoint since, std::int64_t after, int limit) = 0;
  /// Older ones are in the archive.
  virtual Result<std::optional<TimePoint>> oldest_event() = 0;
};

/// Something that is wrong with an LSC on record.
struct Finding {
  std::int64_t certificate_id = 0;
  std::string serial;
  std::string device;
  std::string what;   ///< stable, upper case: "SIGNATURE"
  std::string words;  ///< for people
};

}  // namespace capf
