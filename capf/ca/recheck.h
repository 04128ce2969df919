#pragma once

#include <string>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/time.h"

namespace capf::ca {

/// What an LSC on record must say.
struct ExpectedLsc {
  Bytes issuer;              ///< DER; empty: unknown
  std::vector<Bytes> above;  ///< what stands above the issuer, to the root; nothing: it is the root
  std::int64_t issuer_id = 0;
  int shards = 1;
  std::string device;
  Bytes serial;
  TimePoint not_before;
  TimePoint not_after;
  int shard = 0;
  Sha256 key_sha256{};
  int rsa_bits = 0;  ///< what the operation asked for; 0: no such key
  int ec_bits = 0;   ///< with rsa_bits both 0: any
};

/// A thing that is wrong, by a stable word and in words for people.
struct Fault {
  std::string what;
  std::string words;
};

/// Reads a certificate anew, by OpenSSL and with none of the code that issues: signature by the issuer, names, serial
/// number, validity, key, and the whole profile (extensions, each once and with its criticality; no others).
/// @return everything that is not as it must be: SIGNATURE, ISSUER, SUBJECT, SERIAL, VALIDITY, KEY, KEY_POLICY,
/// EXTENSIONS, BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_KEY_USAGE, KEY_IDENTIFIER, ADDRESSES, SHARD, VERSION, SIZE, or
/// PATH (a relying party does not take it, because of a constraint of the chain), or UNREADABLE.
std::vector<Fault> recheck_lsc(BytesView der, const ExpectedLsc& expected);

}  // namespace capf::ca
