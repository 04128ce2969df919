#include "storage/audit.h"

#include "storage/conditions.h"
#include "storage/operations.h"

namespace capf::storage {
namespace {

const std::string kColumns =
    "a.id, microseconds(a.at), a.actor_kind, a.actor, a.address, a.action, a.subject, a.operation_id, a.outcome, "
    "a.reason, a.detail";

AuditEvent read(Columns& columns) {
  AuditEvent event;
  event.id = columns.number();
  event.at = columns.time();
  event.actor.kind = columns.word(parse_actor_kind);
  event.actor.name = columns.text();
  event.actor.address = columns.text();
  event.action = columns.text();
  event.subject = columns.text();
  event.operation_id = columns.id();
  event.outcome = columns.text();
  event.reason = columns.optional_reason();
  event.detail = columns.text();
  return event;
}

OperationChange read_change(Columns& columns) {
  OperationChange change;
  change.cursor.transaction = columns.transaction();
  change.event = read(columns);
  change.cursor.id = change.event.id;
  change.operation = read_operation(columns);
  return change;
}

ChangeCursor read_end(Columns& columns) { return {columns.transaction(), 0}; }

RefusalCount read_refusal(Columns& columns) {
  RefusalCount refusal;
  refusal.minute = columns.time();
  refusal.address_block = columns.text();
  refusal.reason = columns.reason();
  refusal.device = columns.text();
  refusal.count = columns.number();
  return refusal;
}

const Statement kAdd{
    "audit_add",
    "insert into audit_events (actor_kind, actor, address, action, subject, operation_id, outcome, reason, detail) "
    "values ($1::text, $2::text, $3::text, $4::text, $5::text, $6::bigint, $7::text, $8::text, $9::text)"};
const Statement kAddRepeated{
    "audit_add_repeated",
    "insert into audit_events (actor_kind, actor, address, action, subject, operation_id, outcome, reason, detail) "
    "select $1::text, $2::text, $3::text, $4::text, $5::text, $6::bigint, $7::text, $8::text, $9::text "
    "where admit_repeated_act($1::text, $2::text, $4::text, $7::text, coalesce($8::text, ''), $3::text, $5::text, "
    "$10::int)"};
const Statement kReportRepeated{"audit_report_repeated", "select tell_repeated_acts($1::int)"};
const Statement kAddAll{
    "audit_add_all",
    "insert into audit_events (actor_kind, actor, address, action, subject, operation_id, outcome, reason, detail) "
    "select actor_kind, actor, address, action, subject, nullif(operation_id, 0), outcome, nullif(reason, ''), detail "
    "from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[], "
    "$9::text[]) with ordinality as e (actor_kind, actor, address, action, subject, operation_id, outcome, reason, "
    "detail, place) order by place"};
// All events of earlier transactions are readable; running transactions have this number or a later one.
const Statement kEnd{"audit_end", "select record_transaction(pg_snapshot_xmin(pg_current_snapshot()))"};
const Statement kChanges{"audit_changes",
                         "select a.xid, " + kColumns + ", " + kOperationColumns +
                             " from audit_events a join operations o on o.id = a.operation_id "
                             "join phones p on p.id = o.phone_id where a.operation_id is not null "
                             "and (a.xid, a.id) > ($1::text::xid8, $2::bigint) "
                             "and a.xid < (select record_transaction(pg_snapshot_xmin(pg_current_snapshot()))) order "
                             "by a.xid, a.id limit $3::int"};
const Statement kPruneRefusals{"audit_prune_refusals",
                               "delete from refusals where (minute, address_block, reason, device) in (select minute, "
                               "address_block, reason, device "
                               "from refusals where minute < $1::timestamptz order by minute limit 10000)"};
const Statement kPruneMinutes{"audit_prune_minutes", "delete from refusal_minutes where minute < $1::timestamptz"};
const std::string kSelectRefusals =
    "select microseconds(minute), address_block, reason, device, count from refusals "
    "where minute >= date_trunc('minute', $1::timestamptz) and ($2::text is null or device = $2::text) "
    "and ($3::timestamptz is null or minute < $3::timestamptz) ";
const Statement kRefusals{
    "audit_refusals",
    kSelectRefusals + "order by minute, address_block, reason, device offset $4::bigint limit $5::int"};
const Statement kNewestRefusals{"audit_newest_refusals",
                                kSelectRefusals +
                                    "order by minute desc, address_block desc, reason desc, device desc "
                                    "offset $4::bigint limit $5::int"};

/// The events behind the one that the page before ended with, in the order of their times. One that was archived
/// meanwhile had all that are left behind it, as the oldest ones go first.
void add_place(Conditions& where, const Page& page) {
  if (page.after == 0) return;
  const std::string id = where.parameter(page.after) + "::bigint";
  where.add(std::string("(a.at, a.id) ") + (page.newest ? "<" : ">") +
            " (coalesce((select at from audit_events where id = " + id + "), '-infinity'), " + id + ")");
}

// Administrators, digest users, profiles and lines may have the name of a device; their events have other actions.
const char* const kOfPhones =
    "(split_part(a.action, '.', 1) in ('phone', 'operation', 'certificate') or "
    "a.action in ('line.join', 'line.leave', 'profile.apply'))";

template <class... More>
Parameters parameters_of(const AuditEvent& event, const More&... more) {
  std::optional<std::string> reason;
  if (event.reason) reason = to_string(*event.reason);
  return Parameters(to_string(event.actor.kind), shortened(event.actor.name, 128), shortened(event.actor.address, 64),
                    event.action, shortened(event.subject, 256), unless_zero(event.operation_id), event.outcome, reason,
                    shortened(event.detail, kLongestMessage), more...);
}

}  // namespace

Status Audit::add(const AuditEvent& event) { return session_.execute(kAdd, parameters_of(event)); }

Result<bool> Audit::add_repeated(const AuditEvent& event) {
  return session_.changes(kAddRepeated, parameters_of(event, kActsInAMinute));
}

Status Audit::report_repeated() { return session_.execute(kReportRepeated, Parameters(kActsInAMinute)); }

Status Audit::add_all(std::span<const AuditEvent> events) {
  if (events.empty()) return {};
  using Texts = std::vector<std::string>;
  Texts kinds, actors, addresses, actions, subjects, outcomes, reasons, details;
  std::vector<std::int64_t> operations;
  for (const AuditEvent& event : events) {
    kinds.emplace_back(to_string(event.actor.kind));
    actors.push_back(shortened(event.actor.name, 128));
    addresses.push_back(shortened(event.actor.address, 64));
    actions.push_back(event.action);
    subjects.push_back(shortened(event.subject, 256));
    operations.push_back(event.operation_id);
    outcomes.push_back(event.outcome);
    reasons.emplace_back(event.reason ? to_string(*event.reason) : "");
    details.push_back(shortened(event.detail, kLongestMessage));
  }
  const auto texts = [](const Texts& list) { return std::span<const std::string>(list); };
  return session_.execute(
      kAddAll, Parameters(texts(kinds), texts(actors), texts(addresses), texts(actions), texts(subjects),
                          std::span<const std::int64_t>(operations), texts(outcomes), texts(reasons), texts(details)));
}

Result<std::vector<AuditEvent>> Audit::list(const AuditFilter& filter, const Page& page) {
  Conditions where;
  const std::string descending = page.newest ? " desc" : "";
  const bool timed = filter.since || filter.until;
  if (timed) {
    add_place(where, page);
  } else {
    add_page(where, "a.id", page);
  }
  if (filter.subject) where.add("a.subject = ?::text", *filter.subject);
  if (filter.actor) where.add("a.actor = ?::text", *filter.actor);
  if (filter.action) {
    const std::size_t dot = filter.action->find('.');
    where.add("split_part(a.action, '.', 1) = ?::text", filter.action->substr(0, dot));
    if (dot != std::string::npos) where.add("a.action = ?::text", *filter.action);
  }
  if (filter.of_phones) where.add(kOfPhones);
  if (filter.since) where.add("a.at >= ?::timestamptz", *filter.since);
  if (filter.until) where.add("a.at < ?::timestamptz", *filter.until);
  const std::string limit = where.parameter(page.limit);
  return session_.all_once("select " + kColumns + " from audit_events a" + where.text() + " order by " +
                               (timed ? "a.at" + descending + ", " : "") + "a.id" + descending + " limit " + limit +
                               "::int",
                           where.parameters(), read);
}

Result<ChangeCursor> Audit::end() { return session_.value(kEnd, Parameters(), read_end); }

Result<std::vector<OperationChange>> Audit::changes(const ChangeCursor& cursor, int limit) {
  return session_.all(kChanges, Parameters(cursor.transaction, cursor.id, limit), read_change);
}

Result<std::vector<RefusalCount>> Audit::refusals(TimePoint since, const std::optional<TimePoint>& until,
                                                  const std::optional<std::string>& device, const Page& page) {
  return session_.all(page.newest ? kNewestRefusals : kRefusals,
                      Parameters(since, device, until, page.after, page.limit), read_refusal);
}

Status Audit::prune_refusals(TimePoint until) {
  CAPF_TRY(session_.execute(kPruneRefusals, Parameters(until)));
  return session_.execute(kPruneMinutes, Parameters(until));
}

}  // namespace capf::storage
