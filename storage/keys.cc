#include "storage/keys.h"

#include <algorithm>

namespace capf::storage {

KeyRow read_key(Columns& columns) {
  KeyRow row;
  row.sha256 = columns.digest();
  row.record.owner = columns.word(parse_key_owner);
  row.record.phone_id = columns.id();
  row.record.compromised = columns.boolean();
  row.record.blocked = columns.boolean();
  row.record.modulus = columns.optional_digest();
  return row;
}

namespace {

SharedModulus read_shared(Columns& columns) {
  SharedModulus shared;
  shared.device = columns.text();
  shared.other = columns.text();
  return shared;
}

// A modulus of which the key was on record already is that key's owner's. In one order always, so that two who claim
// the same keys do not wait for each other.
const Statement kClaim{"keys_claim",
                       "insert into public_keys (sha256, modulus_sha256, owner, phone_id, compromised) "
                       "select n.sha256, n.modulus_sha256, coalesce(k.owner, $3::text), "
                       "case when k.sha256 is null then $4::bigint else k.phone_id end, coalesce(k.compromised, false) "
                       "from (values ($1::bytea, $2::bytea), ($2::bytea, null)) as n (sha256, modulus_sha256) "
                       "left join public_keys k on k.sha256 = $1::bytea "
                       "where n.sha256 is not null order by n.sha256 on conflict (sha256) do nothing "
                       "returning sha256, owner, phone_id, compromised, false, modulus_sha256"};
const Statement kFind{"keys_find",
                      std::string("select ") + kKeyColumns + " from public_keys k where k.sha256 = any ($1::bytea[])"};
const Statement kSetModulus{"keys_set_modulus",
                            "update public_keys set modulus_sha256 = $2::bytea where sha256 = $1::bytea"};
const Statement kMarkCompromised{"keys_mark_compromised",
                                 "insert into public_keys (sha256, owner, compromised) "
                                 "select distinct unnest($1::bytea[]), 'blocked', true order by 1 "
                                 "on conflict (sha256) do update set compromised = true"};
// A statement of its own: it sees the moduli that somebody has learnt for whom the first one has waited.
const Statement kMarkModuli{"keys_mark_moduli",
                            "insert into public_keys (sha256, owner, compromised) "
                            "select distinct modulus_sha256, 'blocked', true from public_keys "
                            "where sha256 = any ($1::bytea[]) and modulus_sha256 is not null order by 1 "
                            "on conflict (sha256) do update set compromised = true"};
const Statement kLock{"keys_lock",
                      "select from public_keys where sha256 = any ($1::bytea[]) order by sha256 for no key update"};
const Statement kLearn{
    "keys_learn",
    "with learnt as (select l.sha256, l.modulus_sha256 from unnest($1::bytea[], $2::bytea[]) as l (sha256, "
    "modulus_sha256)), "
    "moduli as (insert into public_keys as m (sha256, owner, phone_id, compromised) "
    "select distinct on (l.modulus_sha256) l.modulus_sha256, k.owner, k.phone_id, k.compromised "
    "from learnt l join public_keys k on k.sha256 = l.sha256 "
    "order by l.modulus_sha256, k.compromised desc, k.recorded_at "
    "on conflict (sha256) do update set compromised = true where excluded.compromised and not m.compromised) "
    "update public_keys k set modulus_sha256 = l.modulus_sha256 from learnt l "
    "where k.sha256 = l.sha256 and k.modulus_sha256 is null"};
const Statement kShared{"keys_shared",
                        "select distinct p.device, o.device from public_keys k "
                        "join public_keys m on m.sha256 = k.modulus_sha256 and m.phone_id <> k.phone_id "
                        "join phones p on p.id = k.phone_id join phones o on o.id = m.phone_id "
                        "where k.sha256 = any ($1::bytea[])"};

bool is_of(const KeyRow& row, KeyOwner owner, std::int64_t phone_id) {
  return row.record.owner == owner && row.record.phone_id == phone_id;
}

/// The records of a key and of its modulus as one, which is the key's unless `prefers_other` says the other one.
template <class PrefersOther>
std::optional<KeyRow> merged(const std::vector<KeyRow>& rows, const KeyDigests& key, PrefersOther prefers_other) {
  if (rows.empty()) return std::nullopt;
  const auto own = std::find_if(rows.begin(), rows.end(), [&](const KeyRow& row) { return row.sha256 == key.sha256; });
  KeyRow one = own == rows.end() ? rows.front() : *own;
  const std::optional<Sha256> modulus = key.modulus ? key.modulus : one.record.modulus;
  for (const KeyRow& row : rows) {
    if (row.sha256 != key.sha256 && prefers_other(one, row)) one = row;
  }
  for (const KeyRow& row : rows) {
    one.record.compromised = one.record.compromised || row.record.compromised;
    one.record.blocked = one.record.blocked || row.record.blocked;
  }
  one.record.modulus = modulus;
  return one;
}

}  // namespace

std::optional<KeyRecord> record_of_claim(const std::vector<KeyRow>& rows, const KeyClaim& claim,
                                         std::int64_t phone_id) {
  const auto stands_in_the_way = [&](const KeyRow& one, const KeyRow& other) {
    return is_of(one, claim.owner, phone_id) && !is_of(other, claim.owner, phone_id);
  };
  const auto row = merged(rows, claim.key, stands_in_the_way);
  return row ? std::optional(row->record) : std::nullopt;
}

// Two statements: the second one sees what another transaction, for which the first one waited, has written.
Result<KeyRecord> Keys::claim(const KeyDigests& key, KeyOwner owner, std::int64_t phone_id) {
  const std::vector<Sha256> digests = key.all();
  CAPF_LET(auto rows, session_.all(kClaim, Parameters(key.sha256, key.modulus, to_string(owner), unless_zero(phone_id)),
                                   read_key));
  if (rows.size() < digests.size()) {
    CAPF_LET(rows, session_.all(kFind, Parameters(digests), read_key));
    const auto own =
        std::find_if(rows.begin(), rows.end(), [&](const KeyRow& row) { return row.sha256 == key.sha256; });
    if (key.modulus && own != rows.end() && !own->record.modulus) {
      CAPF_TRY(session_.execute(kSetModulus, Parameters(key.sha256, key.modulus)));
    }
  }
  const auto record = record_of_claim(rows, {key, owner}, phone_id);
  if (!record) return fail_internal("no row from keys_find");
  return *record;
}

Result<std::optional<KeyRecord>> Keys::find(const KeyDigests& key) {
  CAPF_LET(const auto rows, session_.all(kFind, Parameters(key.all()), read_key));
  const auto row = merged(rows, key, [](const KeyRow&, const KeyRow&) { return false; });
  if (!row) return std::nullopt;
  return row->record;
}

Status Keys::mark_compromised(std::span<const Sha256> keys) {
  CAPF_TRY(session_.execute(kMarkCompromised, Parameters(keys)));
  return session_.execute(kMarkModuli, Parameters(keys));
}

Result<std::vector<SharedModulus>> Keys::learn_moduli(std::span<const KeyDigests> keys) {
  std::vector<Sha256> digests;
  std::vector<Sha256> moduli;
  for (const KeyDigests& key : keys) {
    if (!key.modulus) continue;
    digests.push_back(key.sha256);
    moduli.push_back(*key.modulus);
  }
  if (digests.empty()) return std::vector<SharedModulus>{};
  // The lock: a transaction that marks one of them as compromised comes before this, or after it.
  CAPF_TRY(session_.execute(kLock, Parameters(digests)));
  CAPF_TRY(session_.execute(kLearn, Parameters(digests, moduli)));
  return session_.all(kShared, Parameters(digests), read_shared);
}

}  // namespace capf::storage
