#include "storage/stores.h"

namespace capf::storage {
namespace {

KeyRecord read(Columns& columns) {
  KeyRecord record;
  record.owner = columns.word(parse_key_owner);
  record.phone_id = columns.id();
  record.compromised = columns.boolean();
  record.blocked = columns.boolean();
  return record;
}

const Statement kClaim{"keys_claim",
                       "insert into public_keys (sha256, owner, phone_id) values ($1::bytea, $2::text, $3::bigint) "
                       "on conflict (sha256) do nothing returning owner, phone_id, compromised, false"};
const Statement kFind{"keys_find",
                      "select owner, phone_id, compromised, compromised or exists (select from blocked_certificates "
                      "where key_sha256 = $1::bytea) from public_keys where sha256 = $1::bytea"};
// Always in the same order, so that two transactions with the same keys do not deadlock.
const Statement kMarkCompromised{"keys_mark_compromised",
                                 "insert into public_keys (sha256, owner, compromised) "
                                 "select distinct unnest($1::bytea[]), 'blocked', true order by 1 "
                                 "on conflict (sha256) do update set compromised = true"};

}  // namespace

// Two statements, so that the second one sees the row of another transaction for which the first one waited.
Result<KeyRecord> Keys::claim(const Sha256& key_sha256, KeyOwner owner, std::int64_t phone_id) {
  CAPF_LET(const auto added,
           session_.first(kClaim, Parameters(key_sha256, to_string(owner), unless_zero(phone_id)), read));
  if (added) return *added;
  return session_.value(kFind, Parameters(key_sha256), read);
}

Result<std::optional<KeyRecord>> Keys::find(const Sha256& key_sha256) {
  return session_.first(kFind, Parameters(key_sha256), read);
}

Status Keys::mark_compromised(std::span<const Sha256> keys) {
  return session_.execute(kMarkCompromised, Parameters(keys));
}

}  // namespace capf::storage
