#include "storage/changes.h"

#include <algorithm>
#include <string>

#include "capf/domain/audit_store.h"
#include "storage/change_rows.h"

namespace capf::storage {
namespace {

// The parameters: the phones' ids, whether an LSC is added, whether somebody is judged by a certificate. Each part has
// the one before as a condition, so that the locks are taken in the order of all.
std::string lock_text(const std::string& shared, const std::string& done, const std::string& phones) {
  return "with issuers_held as materialized (select case when $2::boolean then " + shared +
         "(hashtext('capf'), hashtext('issuers'))" + done +
         " else true end as held), "
         "phones_held as materialized (select id from phones where id = any ($1::bigint[]) and "
         "(select held is not null from issuers_held) order by id for no key update" +
         phones +
         "), anchors_held as materialized (select case when $3::boolean and (select count(*) from phones_held) > 0 "
         "then " +
         shared + "(hashtext('capf'), hashtext('trust_anchors'))" + done +
         " else true end as held) "
         "select id, (select held from issuers_held), (select held from anchors_held) from phones_held";
}
const Statement kLock{"changes_lock", lock_text("pg_advisory_xact_lock_shared", " is not null", "")};
const Statement kTryLock{"changes_try_lock", lock_text("pg_try_advisory_xact_lock_shared", "", " skip locked")};

// Tables are looked up by arrays of their keys or by subqueries of one row: there is no plan that reads a whole one.
// Questions about each member are an array by its number, because a join of lists could take each with each.

/// Compares what the members rest on: `verdict` says of each whether it is good.
const std::string kCompare = R"(
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
      or k.sha256 in (select sha256 from blocked_keys)),
agreed as materialized (
  select array_agg((m.place <> all (array(select member from differing))
      and (m.revision is null or m.revision =
        (select p.revision from phones p where p.id = m.phone_id and p.removed_at is null))
      and (m.database_start is null or m.database_start = pg_postmaster_start_time())
      and (m.looked_at is null or now() between m.looked_at and m.holds_until)
      and (m.trust_revision is null or m.trust_revision = (select revision from trust_revision))
      and (m.issuer_id is null or m.issuer_id = (select id from issuers where active))
      and (m.session is null or m.session =
        (select o.session from operations o where o.phone_id = m.phone_id and o.finished_at is null))
    ) is true order by m.place) as good from members m),
clashing as materialized (
  select c.member from claims c join claims o on o.sha256 = c.sha256
    where (o.member < c.member and (select good from agreed)[o.member])
      or (o.member = c.member and o.owner <> c.owner)),
verdict as materialized (
  select array_agg((select good from agreed)[m.place] and m.place <> all (array(select member from clashing))
    order by m.place) as good from members m),
drawn as materialized (
  select array_agg(case when m.operation_id = 0 and (select good from verdict)[m.place] then nextval('operation_ids')
                        else m.operation_id end order by m.place) as ids from members m))";

// An operation that ends makes room for the one that is added, so it ends first.
const std::string kWriteOperations = R"(
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
operations_added as (
  insert into operations (id, phone_id, kind, state, auth, key_order, rsa_bits, ec_bits, self_service, created_by,
      completes_by, string_mac, string_digits, message, authenticated_by, authenticated_certificate, expired_mic,
      certificates, failures, session)
    select (select ids from drawn)[w.member], w.phone_id, w.kind, w.state, w.auth, w.key_order, w.rsa_bits, w.ec_bits,
        w.self_service, w.created_by, w.completes_by, w.string_mac, w.string_digits, w.message, w.authenticated_by,
        w.authenticated_certificate, w.expired_mic, w.certificates, w.failures, w.session
      from added_operations w
      where (select good from verdict)[w.member] and (select count(*) from operations_changed) >= 0
    on conflict (phone_id) where finished_at is null do nothing
    returning id),
strings_added as (
  insert into operation_strings (operation_id, largest)
    select (select ids from drawn)[w.member], w.largest from added_operations w
      where (select good from verdict)[w.member] and w.auth = 'string' and (select count(*) from operations_added) =
        (select count(*) from added_operations a where (select good from verdict)[a.member])),
strings_ended as (
  delete from operation_strings
    where operation_id = any (array(select id from operations_changed where ends))))";

// A certificate on hold is in the narrow table already; the trigger of certificates changes its reason there.
const std::string kWriteCertificates = R"(
certificates_added as (
  insert into certificates (kind, sha256, serial, issuer_id, issuer, phone_id, operation_id, key_sha256, der,
      not_before, not_after, possession, shard)
    select w.kind, w.sha256, w.serial, w.issuer_id, w.issuer, w.phone_id,
        case when w.operation_id <> 0 then w.operation_id
             when w.kind = 'lsc' then (select ids from drawn)[w.member] end,
        w.key_sha256, w.der, w.not_before, w.not_after, w.possession, w.shard
      from added_certificates w
      where (select good from verdict)[w.member] order by w.place
    on conflict (phone_id, sha256) where kind = 'handed_over' do nothing),
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
    on conflict (issuer_id, serial) do nothing))";

// Keys are claimed in the order of their digests. A phone's own key is on record already, perhaps without its modulus.
const std::string kWriteKeys = R"(
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
      and k.sha256 = any (array(select sha256 from known_keys where modulus_sha256 is null))))";

// Counts of strings come behind the keys, and repeated acts behind all: the order of locks. Attempts are written in the
// order of their phones, as strangers' are, who lock no phone.
const std::string kWritePhones = R"(
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
attempts_recorded as (
  insert into phone_attempts as t (phone_id, at, address, transport, kind, reason, message)
    select w.phone_id, now(), w.address, w.transport, w.kind, w.reason, w.message from attempts w
      where (select good from verdict)[w.member] order by w.phone_id
    on conflict (phone_id) do update
      set at = excluded.at, address = excluded.address, transport = excluded.transport, kind = excluded.kind,
          reason = excluded.reason, message = excluded.message),
counted as materialized (
  select phone_id from device_strings where phone_id =
    any (array(select w.phone_id from forgiven w where (select good from verdict)[w.member]))),
counts_held as materialized (
  select lock_strings(array(select phone_id from counted), '{}') is not null as held
    where exists (select from counted) and (select count(*) from keys_added) >= 0),
strings_forgiven as (
  delete from device_strings
    where phone_id = any (array(select phone_id from counted)) and (select count(*) from counts_held) >= 0
    returning phone_id),
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
                                 std::to_string(kActsInAMinute) + ") end)";

/// A row for each member, and one for each session: with no verdict.
const std::string kVerdicts = R"(
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

const Statement kWrite{"changes_write", "with " + ChangeRows::tables() + "," + kCompare + "," + kWriteOperations + "," +
                                            kWriteCertificates + "," + kWriteKeys + "," + kWritePhones + kVerdicts};

struct Held {
  std::int64_t phone_id = 0;
  bool issuers = false;
  bool anchors = false;
};
Held read_held(Columns& columns) {
  Held held;
  held.phone_id = columns.number();
  held.issuers = columns.boolean();
  held.anchors = columns.boolean();
  return held;
}

struct Verdict {
  std::size_t member = 0;  ///< from 0
  bool judged = false;     ///< else the row says the session
  bool good = false;
  bool whole = false;  ///< of all members: no row was another than the writes expect it
  Written written;
};
Verdict read_verdict(Columns& columns) {
  Verdict verdict;
  verdict.member = static_cast<std::size_t>(columns.number() - 1);
  verdict.judged = !columns.next_is_null();
  if (!verdict.judged) {
    for (int i = 0; i < 3; ++i) columns.id_or_none();
    verdict.written.session = columns.number();
    return verdict;
  }
  verdict.good = columns.boolean();
  verdict.written.at = columns.time();
  verdict.written.added_operation = columns.id();
  columns.id_or_none();
  verdict.whole = columns.boolean();
  return verdict;
}

bool judges_certificates(const Basis& basis) {
  return basis.trust_revision || !basis.certificates.empty() || !basis.keys.empty();
}

/// Locks what the changes rest on. @return the rows of those for whom everything is locked
Result<std::vector<Held>> lock(Session& session, std::span<const Change* const> changes, bool alone) {
  std::vector<std::int64_t> phones;
  for (const Change* change : changes) phones.push_back(change->basis.phone_id);
  const auto any = [&](auto wants) {
    return std::any_of(changes.begin(), changes.end(), [&](const Change* change) { return wants(change->basis); });
  };
  const bool issues = any([](const Basis& basis) { return basis.active_issuer.has_value(); });
  const bool judges = any(judges_certificates);
  return session.all(alone ? kLock : kTryLock, Parameters(std::span<const std::int64_t>(phones), issues, judges),
                     read_held);
}

bool is_held(const std::vector<Held>& held, const Basis& basis) {
  return std::any_of(held.begin(), held.end(), [&](const Held& row) {
    return row.phone_id == basis.phone_id && (row.issuers || !basis.active_issuer) &&
           (row.anchors || !judges_certificates(basis));
  });
}

/// Carries the rows out. @return a member for each of them
Result<std::vector<Member>> carry_out(Session& session, const ChangeRows& rows) {
  CAPF_LET(const auto verdicts, session.all(kWrite, rows.parameters(), read_verdict));
  std::vector<Member> members(rows.size());
  for (const AddedOperationRow& row : rows.added_operations) {
    members[static_cast<std::size_t>(row.member - 1)].written.session = row.steps.begun;
  }
  for (const Verdict& row : verdicts) {
    Member& member = members.at(row.member);
    if (!row.judged) {
      member.written.session = row.written.session;
      continue;
    }
    if (!row.whole) return fail(Reason::kChangedMeanwhile);
    member.outcome = row.good ? Outcome::kWritten : Outcome::kDiffers;
    member.written.at = row.written.at;
    member.written.added_operation = row.written.added_operation;
  }
  return members;
}

}  // namespace

Result<std::vector<Member>> write(Session& session, std::span<const Change* const> changes, bool alone) {
  CAPF_INVARIANT(!alone || changes.size() == 1);
  CAPF_LET(const auto held, lock(session, changes, alone));
  // There is no such phone where a wait for its lock gave none.
  std::vector<Member> members(changes.size(), {alone ? Outcome::kDiffers : Outcome::kLocked, {}});
  std::vector<std::size_t> places;
  ChangeRows rows;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (!is_held(held, changes[i]->basis)) continue;
    places.push_back(i);
    rows.add(*changes[i]);
  }
  if (places.empty()) return members;
  CAPF_LET(const auto written, carry_out(session, rows));
  for (std::size_t i = 0; i < places.size(); ++i) members[places[i]] = written[i];
  return members;
}

Result<std::vector<Written>> write(Session& session, std::span<const PhoneWrites> phones) {
  if (phones.empty()) return std::vector<Written>{};
  ChangeRows rows;
  for (const PhoneWrites& phone : phones) rows.add(phone.phone_id, phone.writes);
  CAPF_LET(const auto members, carry_out(session, rows));
  std::vector<Written> written;
  for (const Member& member : members) {
    if (member.outcome != Outcome::kWritten) return fail(Reason::kChangedMeanwhile);
    written.push_back(member.written);
  }
  return written;
}

Result<Written> write(Session& session, std::int64_t phone_id, std::span<const Write> writes) {
  const PhoneWrites one[]{{phone_id, writes}};
  CAPF_LET(const auto written, write(session, std::span<const PhoneWrites>(one)));
  return written.front();
}

}  // namespace capf::storage
