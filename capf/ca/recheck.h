#pragma once

#include <string>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/time.h"

namespace capf::ca {

/// The contents that an LSC on record must have.
struct ExpectedLsc {
  Bytes issuer;              ///< DER; empty: unknown
  std::vector<Bytes> above;  ///< the CAs above the issuer, to the root; empty: it is the root
  std::int64_t issuer_id = 0;
  int shards = 1;
  std::string device;
  Bytes serial;
  TimePoint not_before;
  TimePoint not_after;
  int shard = 0;
  Sha256 key_sha256{};
  int rsa_bits = 0;  ///< as the operation asked; 0: not an RSA key
  int ec_bits = 0;   ///< with rsa_bits both 0: any
};

/// One fault: a stable code, and a sentence for people.
struct Fault {
  std::string what;
  std::string words;
};

/// Checks a certificate by OpenSSL, with none of the code that issues: signature by the issuer, names, serial number,
/// validity, key, and the whole profile (extensions, each once and with its criticality; no others).
/// @return all faults: SIGNATURE, ISSUER, SUBJECT, SERIAL, VALIDITY, KEY, KEY_POLICY, EXTENSIONS, BASIC_CONSTRAINTS,
/// KEY_USAGE, EXTENDED_KEY_USAGE, KEY_IDENTIFIER, ADDRESSES, SHARD, VERSION, SIZE, or PATH (a relying party refuses it,
/// because of a constraint of the chain), or UNREADABLE.
std::vector<Fault> recheck_lsc(BytesView der, const ExpectedLsc& expected);

}  // namespace capf::ca
