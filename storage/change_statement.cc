#include "storage/change_statement.h"

#include <algorithm>
#include <array>
#include <string>

#include "capf/domain/audit_store.h"

// Tables are looked up by arrays of their keys or by subqueries of one row: there is no plan that reads a whole one.
// Questions about each member are an array by its number, because a join of lists could take each with each. Of the
// statements that write, each has the one before it as a condition where the order of the locks asks for it.

namespace capf::storage {
namespace {

using enum ChangeTable;

/// A part of the statement, for the rows of some tables; where none of them is given, what others read of it.
struct Part {
  ChangeTables tables;
  std::string text;
  std::string absent;
};

/// Compares the digests that the members rest on.
const Part kCompareDigests{{kShownCertificates, kShownKeys, kClaims},
                           R"(
named_keys as materialized (select sha256 from shown_keys union all select sha256 from claims),
known_keys as materialized (
  select sha256, owner, phone_id, compromised, modulus_sha256 from public_keys
    where sha256 = any (array(select sha256 from named_keys))),
blocked_keys as materialized (
  select key_sha256 as sha256 from blocked_certificates
    where key_sha256 = any (array(select sha256 from named_keys))
  union all
  select modulus_sha256 from blocked_certificates
    where modulus_sha256 = any (array(select sha256 from named_keys))),
blocked as materialized (
  select sha256 from blocked_certificates where sha256 = any (array(select sha256 from shown_certificates))),
differing as materialized (
  select member from shown_certificates where sha256 in (select sha256 from blocked)
  union all
  select member from shown_keys
    where sha256 in (select sha256 from blocked_keys union all select sha256 from known_keys where compromised)
  union all
  select c.member from claims c join known_keys k on k.sha256 = c.sha256
    where k.owner <> c.owner or k.phone_id is distinct from c.phone_id or k.compromised
      or k.sha256 in (select sha256 from blocked_keys)))",
                           "differing as (select null::int as member where false)"};

/// `verdict` says of each member whether it is good.
const std::string kAgreed = R"(
agreed as materialized (
  select array_agg((m.place <> all (array(select member from differing))
      and (m.revision is null or m.revision =
        (select p.revision from phones p where p.id = m.phone_id and p.removed_at is null))
      and (m.postmaster_start is null or m.postmaster_start = pg_postmaster_start_time())
      and (m.looked_at is null or now() between m.looked_at and m.holds_until)
      and (m.trust_revision is null or m.trust_revision = (select revision from trust_revision))
      and (m.issuer_id is null or m.issuer_id = (select id from issuers where active))
      and (m.session is null or m.session =
        (select o.session from operations o where o.phone_id = m.phone_id and o.finished_at is null))
    ) is true order by m.place) as good from members m))";
const Part kClashing{{kClaims},
                     R"(
clashing as materialized (
  select c.member from claims c join claims o on o.sha256 = c.sha256
    where (o.member < c.member and (select good from agreed)[o.member])
      or (o.member = c.member and o.owner <> c.owner)))",
                     "clashing as (select null::int as member where false)"};
const std::string kVerdict = R"(
verdict as materialized (
  select array_agg((select good from agreed)[m.place] and m.place <> all (array(select member from clashing))
    order by m.place) as good from members m))";
const Part kDrawn{{kAddedOperations},
                  R"(
drawn as materialized (
  select array_agg(case when m.operation_id = 0 and (select good from verdict)[m.place] then nextval('operation_ids')
                        else m.operation_id end order by m.place) as ids from members m))",
                  "drawn as (select null::bigint[] as ids)"};

// An operation that ends makes room for the one that is added, so it ends first.
const Part kChangeOperations{
    {kChangedOperations},
    R"(
operations_changed as (
  update operations o set state = coalesce(w.state, o.state),
      authenticated_by = case when w.advances then w.authenticated_by else o.authenticated_by end,
      authenticated_certificate =
        case when w.advances then w.authenticated_certificate else o.authenticated_certificate end,
      expired_mic = case when w.advances then w.expired_mic else o.expired_mic end,
      certificates = o.certificates + w.issued, session = o.session + w.begun, failures = o.failures + w.failures,
      finished_at = case when w.ends then now() end, reason = w.reason,
      message = case when w.ends then w.message else o.message end,
      string_mac = case when not w.ends then o.string_mac end
    from changed_operations w
    where (select good from verdict)[w.member] and o.id = w.id and o.phone_id = w.phone_id and o.finished_at is null
      and o.id = any (array(select id from changed_operations))
    returning w.member, o.id, o.session, w.advances, w.ends),
strings_ended as (
  delete from operation_strings
    where operation_id = any (array(select id from operations_changed where ends))))",
    "operations_changed as (select null::int as member, null::bigint as session, false as advances where false)"};
const Part kAddOperations{{kAddedOperations},
                          R"(
operations_added as (
  insert into operations (id, phone_id, kind, state, auth, key_order, rsa_bits, ec_bits, self_service, created_by,
      completes_by, string_mac, string_digits, message, authenticated_by, authenticated_certificate, expired_mic,
      certificates, failures, session, lsc_validity_days, lsc_subject, owners)
    select (select ids from drawn)[w.member], w.phone_id, w.kind, w.state, w.auth, w.key_order, w.rsa_bits, w.ec_bits,
        w.self_service, w.created_by, w.completes_by, w.string_mac, w.string_digits, w.message, w.authenticated_by,
        w.authenticated_certificate, w.expired_mic, w.certificates, w.failures, w.session,
        w.lsc_validity_days, w.lsc_subject, w.owners
      from added_operations w
      where (select good from verdict)[w.member] and (select count(*) from operations_changed) >= 0
    on conflict (phone_id) where finished_at is null do nothing
    returning id),
strings_added as (
  insert into operation_strings (operation_id, largest)
    select (select ids from drawn)[w.member], w.largest from added_operations w
      where (select good from verdict)[w.member] and w.auth = 'string' and (select count(*) from operations_added) =
        (select count(*) from added_operations a where (select good from verdict)[a.member])))",
                          "operations_added as (select null::bigint as id where false)"};

// A certificate on hold is in the narrow table already; the trigger of certificates changes its reason there.
const Part kAddCertificates{{kAddedCertificates},
                            R"(
certificates_added as (
  insert into certificates (kind, sha256, serial, issuer_id, issuer, phone_id, operation_id, key_sha256, der,
      not_before, not_after, possession, shard)
    select w.kind, w.sha256, w.serial, w.issuer_id, w.issuer, w.phone_id,
        case when w.operation_id <> 0 then w.operation_id
             when w.kind = 'lsc' then (select ids from drawn)[w.member] end,
        w.key_sha256, w.der, w.not_before, w.not_after, w.possession, w.shard
      from added_certificates w
      where (select good from verdict)[w.member] order by w.place
    on conflict (phone_id, sha256) where kind = 'handed_over' do nothing))",
                            ""};
const Part kChangeCertificates{{kChangedCertificates},
                               R"(
certificates_changed as (
  update certificates c set
      confirmed_at = case when w.confirms then now() else c.confirmed_at end,
      superseded_at = case when w.supersedes or w.reason = 4 then coalesce(c.superseded_at, now())
                           else c.superseded_at end,
      revoked_at = case when w.reason is not null then coalesce(c.revoked_at, now()) else c.revoked_at end,
      revocation_reason = coalesce(w.reason, c.revocation_reason)
    from changed_certificates w
    where (select good from verdict)[w.member] and c.id = w.id and c.phone_id = w.phone_id and c.kind = 'lsc'
      and (not w.confirms or c.confirmed_at is null)
      and (not w.supersedes or (c.superseded_at is null and c.revoked_at is null))
      and (w.reason is null or c.revoked_at is null or (c.revocation_reason = 6 and w.reason <> 6))
      and c.id = any (array(select id from changed_certificates))
    returning c.issuer_id, c.serial, c.shard, c.revoked_at, w.reason, c.not_after),
revocations_added as (
  insert into revocations (issuer_id, serial, shard, revoked_at, reason, expires_at)
    select issuer_id, serial, shard, revoked_at, reason, not_after from certificates_changed where reason is not null
    on conflict (issuer_id, serial) do nothing))",
                               "certificates_changed as (select where false)"};

// Keys are claimed in the order of their digests. A phone's own key is on record already, perhaps without its modulus.
const Part kClaimKeys{{kClaims},
                      R"(
wanted_keys as materialized (
  select distinct on (w.sha256) w.sha256, w.modulus_sha256, w.owner, w.phone_id from claims w
    where (select good from verdict)[w.member] and w.sha256 <> all (array(select sha256 from known_keys))
    order by w.sha256, w.modulus_sha256),
keys_added as (
  insert into public_keys (sha256, modulus_sha256, owner, phone_id)
    select sha256, modulus_sha256, owner, phone_id from wanted_keys order by sha256
    on conflict (sha256) do nothing
    returning sha256),
keys_learnt as (
  update public_keys k set modulus_sha256 = w.modulus_sha256 from claims w
    where (select good from verdict)[w.member] and k.sha256 = w.sha256 and k.modulus_sha256 is null
      and w.modulus_sha256 is not null
      and k.sha256 = any (array(select sha256 from known_keys where modulus_sha256 is null))))",
                      "wanted_keys as (select where false), keys_added as (select where false)"};

const Part kChangePhones{{kChangedPhones},
                         R"(
phones_changed as (
  update phones p set mic_sha256 = coalesce(w.mic_sha256, p.mic_sha256),
      mic_fresh_at = case when w.mic_sha256 is null then p.mic_fresh_at
                          when w.fresh then coalesce(p.mic_fresh_at, now()) end,
      model = coalesce(w.model, p.model),
      self_service_stopped_at = case when w.stops then coalesce(p.self_service_stopped_at, now())
                                     else p.self_service_stopped_at end
    from changed_phones w
    where (select good from verdict)[w.member] and p.id = w.phone_id
      and p.id = any (array(select phone_id from changed_phones))),
mics_kept as (
  insert into phone_mics (phone_id, sha256, der, not_before, not_after)
    select w.phone_id, w.mic_sha256, w.mic_der, w.mic_not_before, w.mic_not_after from changed_phones w
      where (select good from verdict)[w.member] and w.mic_der is not null order by w.phone_id
    on conflict (phone_id) do update
      set sha256 = excluded.sha256, der = excluded.der, not_before = excluded.not_before,
          not_after = excluded.not_after))",
                         ""};
// In the order of their phones, as strangers' are, who lock no phone.
const Part kRecordAttempts{{kAttempts},
                           R"(
attempts_recorded as (
  insert into phone_attempts as t (phone_id, at, address, transport, kind, reason, message)
    select w.phone_id, now(), w.address, w.transport, w.kind, w.reason, w.message from attempts w
      where (select good from verdict)[w.member] order by w.phone_id
    on conflict (phone_id) do update
      set at = excluded.at, address = excluded.address, transport = excluded.transport, kind = excluded.kind,
          reason = excluded.reason, message = excluded.message))",
                           ""};
// Counts of strings come behind the keys, and repeated acts behind all: the order of locks.
const Part kForgive{{ChangeTable::kForgiven},
                    R"(
counted as materialized (
  select phone_id from device_strings where phone_id =
    any (array(select w.phone_id from forgiven w where (select good from verdict)[w.member]))),
counts_held as materialized (
  select lock_strings(array(select phone_id from counted), '{}') is not null as held
    where exists (select from counted) and (select count(*) from keys_added) >= 0),
strings_forgiven as (
  delete from device_strings
    where phone_id = any (array(select phone_id from counted)) and (select count(*) from counts_held) >= 0
    returning phone_id))",
                    "strings_forgiven as (select where false)"};
const Part kAddEvents{{kEvents},
                      R"(
events_added as (
  insert into audit_events (actor_kind, actor, address, action, subject, operation_id, outcome, reason, detail)
    select w.actor_kind, w.actor, w.address, w.action, w.subject,
        case when w.of_added then (select ids from drawn)[w.member] else w.operation_id end,
        w.outcome, w.reason, w.detail
      from (select member, actor_kind, actor, address, action, subject, of_added, operation_id, outcome, reason, detail,
          repeated from events where (select count(*) from strings_forgiven) >= 0 order by place offset 0) w
      where case when not (select good from verdict)[w.member] then false
                 when not w.repeated then true
                 else admit_repeated_act(w.actor_kind, w.actor, w.action, w.outcome, coalesce(w.reason, ''), w.address,
                                         w.subject, )" +
                          std::to_string(kActsInAMinute) + ") end)",
                      ""};

/// A row for each member, and one for each session: with no verdict.
const std::string kAnswer = R"(
select m.place, (select good from verdict)[m.place], microseconds(now()), (select ids from drawn)[m.place],
    null::bigint,
    (select count(*) from operations_changed) =
      (select count(*) from changed_operations w where (select good from verdict)[w.member])
    and (select count(*) from operations_added) =
      (select count(*) from added_operations w where (select good from verdict)[w.member])
    and (select count(*) from certificates_changed) =
      (select count(*) from changed_certificates w where (select good from verdict)[w.member])
    and (select count(*) from keys_added) = (select count(*) from wanted_keys)
  from members m
union all
select member, null, null, null, session, null from operations_changed where advances)";

/// The statement that carries out rows of these tables.
std::string text_for(const ChangeTables& given) {
  std::string text = "with " + ChangeRows::tables(given);
  const auto add = [&](const Part& part) {
    const std::string& chosen = (part.tables & given).any() ? part.text : part.absent;
    if (!chosen.empty()) text += ", " + chosen;
  };
  add(kCompareDigests);
  text += "," + kAgreed;
  add(kClashing);
  text += "," + kVerdict;
  for (const Part* part : {&kDrawn, &kChangeOperations, &kAddOperations, &kAddCertificates, &kChangeCertificates,
                           &kClaimKeys, &kChangePhones, &kRecordAttempts, &kForgive, &kAddEvents}) {
    add(*part);
  }
  return text + kAnswer;
}

ChangeStatement statement_for(const char* name, const ChangeTables& given) { return {given, {name, text_for(given)}}; }

const ChangeTables kCommon{kMembers, kChangedOperations, kForgiven, kEvents};
const ChangeTables kIssue = kCommon | ChangeTables{kShownCertificates, kShownKeys, kClaims, kAddedCertificates};
const ChangeTables kConfirm = kCommon | ChangeTables{kChangedCertificates};

/// From the least to the whole.
const std::array kStatements{
    statement_for("changes_write_confirmation", kConfirm),
    statement_for("changes_write_issue", kIssue),
    statement_for("changes_write_both", kIssue | kConfirm),
    statement_for("changes_write", ~ChangeTables()),
};

}  // namespace

const ChangeStatement& change_statement(const ChangeTables& filled) {
  return *std::ranges::find_if(kStatements,
                               [&](const ChangeStatement& each) { return (filled & ~each.tables).none(); });
}

}  // namespace capf::storage
