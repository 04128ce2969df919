#include "storage/security_changes.h"

#include "storage/mode_facts.h"

namespace capf::storage {
namespace {

SecurityChange read(Columns& columns) {
  SecurityChange change;
  change.cursor.transaction = columns.transaction();
  change.cursor.id = columns.number();
  change.at = columns.time();
  change.kind = columns.word(parse_security_change_kind);
  change.profile_id = columns.number();
  for (std::string* text : {&change.profile, &change.mode, &change.reason, &change.digest_user}) *text = columns.text();
  change.sha256 = columns.optional_digest();
  change.serial = columns.bytes();
  if (const auto code = columns.id_or_none()) {
    change.revocation = revocation_reason_from_code(static_cast<int>(*code)).value();
  }
  if (columns.next_is_null()) return change;
  change.device = columns.text();
  change.facts = read_mode_facts(columns);
  return change;
}

// The subject of a change is looked up by its id, for the changes of the page alone.
const Statement kList{
    "security_changes_list",
    "select c.xid, c.id, microseconds(c.at), c.kind, coalesce(c.profile_id, n.profile_id, 0), coalesce(n.profile, "
    "(select name from profiles where id = c.profile_id), ''), coalesce(c.mode, ''), coalesce(c.reason, ''), "
    "coalesce(c.digest_user, ''), c.sha256, coalesce(c.serial, ''), c.revocation, n.device, n.site_mode, "
    "n.profile_mode, n.removed, n.blocked, n.lsc, n.good_mic from (select xid, id, at, kind, phone_id, profile_id, "
    "mode, reason, digest_user, sha256, serial, revocation from security_changes "
    "where (xid, id) > ($1::text::xid8, $2::bigint) "
    "and xid < (select record_transaction(pg_snapshot_xmin(pg_current_snapshot()))) order by xid, id limit $3::int) c "
    "left join lateral (select p.device, p.profile_id, f.name as profile, " +
        kModeFacts +
        " from phones p join profiles f on f.id = p.profile_id where p.id = c.phone_id limit 1) n on true "
        "order by c.xid, c.id"};
// A cursor of the future is of a database that was restored since.
const Statement kExpired{
    "security_changes_expired",
    "select (xid, id) > ($1::text::xid8, $2::bigint) or $1::text::xid8 > "
    "record_transaction(pg_snapshot_xmax(pg_current_snapshot())) from security_changes_deleted where only_one"};
const Statement kTellEnds{"security_changes_tell_ends",
                          "select greatest(tell_ended_lscs($1::int), tell_ended_mics($1::int))"};
const Statement kForget{"security_changes_forget",
                        "select delete_security_changes($1::bigint * interval '1 hour', $2::int)"};

}  // namespace

Result<std::vector<SecurityChange>> SecurityChanges::list(const ChangeCursor& cursor, int limit) {
  CAPF_LET(const bool expired, session_.value(kExpired, Parameters(cursor.transaction, cursor.id), read_boolean));
  if (expired) return fail(Reason::kCursorExpired);
  return session_.all(kList, Parameters(cursor.transaction, cursor.id, limit), read);
}

Result<int> SecurityChanges::tell_ends(int limit) { return session_.value(kTellEnds, Parameters(limit), read_integer); }

Result<int> SecurityChanges::forget(std::chrono::hours age, int limit) {
  return session_.value(kForget, Parameters(std::int64_t{age.count()}, limit), read_integer);
}

}  // namespace capf::storage
