#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capf/base/error.h"
#include "capf/domain/certificate.h"
#include "capf/domain/key.h"
#include "capf/domain/operation.h"

namespace capf {

/// An LSC on record, with the other records that must exist for it.
struct IssuedRecord {
  Certificate certificate;
  Bytes issuer_der;  ///< the issuer on record, followed by the CAs above it; empty where there is no issuer
  int shards = 1;    ///< of that issuer
  std::optional<Operation> operation;
  bool issue_event = false;  ///< whether the operation's audit events say that it was issued
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

/// A fault of an LSC on record.
struct Finding {
  std::int64_t certificate_id = 0;
  std::string serial;
  std::string device;
  std::string what;   ///< stable, upper case: "SIGNATURE"
  std::string words;  ///< for people
};

}  // namespace capf
