#include "storage/lines.h"

#include "storage/mode_facts.h"

namespace capf::storage {
namespace {

constexpr Column<Line> kLine[]{
    {"l.id", into<&Line::id, &Columns::number>},
    {"l.name", into<&Line::name, &Columns::text>},
    {"l.allow_mixed", into<&Line::allow_mixed, &Columns::boolean>},
    {"microseconds(l.added_at)", into<&Line::added_at, &Columns::time>},
    {"l.added_by", into<&Line::added_by, &Columns::text>},
};
const std::string kSelect = "select " + list_of(kLine) + " from lines l";

Line read(Columns& columns) {
  Line line;
  read_columns(kLine, columns, line);
  return line;
}

LineMember read_member(Columns& columns) {
  const std::int64_t line = columns.number();
  const std::int64_t phone = columns.number();
  const std::int64_t profile = columns.number();
  LineMember member{line, phone, profile, columns.device(), {}};
  member.facts = read_mode_facts(columns);
  return member;
}

LineMembership read_membership(Columns& columns) {
  LineMembership membership;
  membership.line = columns.text();
  membership.device = columns.text();
  return membership;
}

const Statement kAdd{"lines_add",
                     "insert into lines (name, added_by) values ($1::text, $2::text) on conflict (name) do nothing"};
const Statement kAddAll{"lines_add_all",
                        "insert into lines (name, added_by) select name, $2::text from unnest($1::text[]) n (name) "
                        "order by name || '' on conflict (name) do nothing returning name"};
const Statement kFind{"lines_find", kSelect + " where l.name = $1::text"};
const Statement kLock{"lines_lock", kFind.text + " for no key update"};
const Statement kLockAll{"lines_lock_all",
                         kSelect + " where l.name = any ($1::text[]) order by l.id for no key update"};
const Statement kList{"lines_list", kSelect + " where l.id > $1::bigint order by l.id limit $2::int"};
// Phone by phone and line by line, so that no statistics lead to a plan that reads the members of all lines.
const std::string kLinesOfPhones =
    "(select distinct m.line_id from unnest($1::bigint[]) asked (id) cross join lateral "
    "(select line_id from line_members where phone_id = asked.id offset 0) m)";
const Statement kOfPhones{"lines_of_phones", kSelect + " where l.id in " + kLinesOfPhones + " order by l.id"};
const Statement kLockOfPhones{"lines_lock_of_phones", kOfPhones.text + " for no key update"};
const Statement kNamesOfPhone{"lines_names_of_phone",
                              "select l.name from line_members m join lines l on l.id = m.line_id "
                              "where m.phone_id = $1::bigint order by 1"};
const Statement kOfProfile{
    "lines_of_profile",
    "select " + list_of(kLine) +
        " from (select distinct m.line_id from line_members m where m.profile_id = $1::bigint and m.profile_id <> 1 "
        "and m.line_id > $2::bigint and not (select allow_mixed from lines where id = m.line_id) and exists "
        "(select from line_members o where o.line_id = m.line_id and o.profile_id <> $1::bigint) "
        "order by m.line_id limit $3::int) m join lines l on l.id = m.line_id order by l.id"};
const std::string kModes = "(hashtext('capf'), hashtext('profile_modes'))";
const Statement kHoldModes{"lines_hold_modes", "select pg_advisory_xact_lock_shared" + kModes};
const Statement kLockModes{"lines_lock_modes", "select pg_advisory_xact_lock" + kModes};
const Statement kMembers{"lines_members",
                         "select m.* from unnest($1::bigint[]) asked (id) cross join lateral (select m.line_id, p.id, "
                         "p.profile_id, p.device, " +
                             kModeFacts +
                             " from line_members m join phones p on p.id = m.phone_id "
                             "join profiles f on f.id = p.profile_id "
                             "where m.line_id = asked.id offset 0) m order by 1, m.device || ''"};
const Statement kNeighbours{
    "lines_neighbours", "select distinct o.phone_id from " + kLinesOfPhones +
                            " m cross join lateral (select phone_id from line_members where line_id = m.line_id "
                            "and not (select allow_mixed from lines where id = m.line_id) offset 0) o limit $2::int"};
const Statement kJoin{"lines_join",
                      "with joined as (insert into line_members (line_id, phone_id, profile_id) "
                      "select $1::bigint, id, profile_id from phones where id = any ($2::bigint[]) order by id "
                      "on conflict do nothing returning phone_id) "
                      "select device from phones where id in (select phone_id from joined) order by device || ''"};
const std::string kPairs = "unnest($1::bigint[], $2::bigint[]) n (line_id, phone_id)";
const std::string kMemberships =
    "select l.name, p.device from moved m join lines l on l.id = m.line_id join phones p on p.id = m.phone_id "
    "order by l.name || '', p.device || ''";
const Statement kJoinAll{"lines_join_all",
                         "with moved as (insert into line_members (line_id, phone_id, profile_id) "
                         "select n.line_id, p.id, p.profile_id from " +
                             kPairs +
                             " join phones p on p.id = n.phone_id order by 1, 2 on conflict do nothing "
                             "returning line_id, phone_id) " +
                             kMemberships};
const Statement kLeaveAll{"lines_leave_all", "with moved as (delete from line_members m using " + kPairs +
                                                 " where m.line_id = n.line_id and m.phone_id = n.phone_id "
                                                 "returning m.line_id, m.phone_id) " +
                                                 kMemberships};
const Statement kWithTooMany{"lines_with_too_many",
                             "select device from phones p where id = any ($1::bigint[]) and "
                             "(select count(*) from line_members where phone_id = p.id) > $2::int order by 1"};
const Statement kLeave{"lines_leave",
                       "delete from line_members where line_id = $1::bigint and phone_id = any ($2::bigint[])"};
const Statement kAllowMixed{"lines_allow_mixed", "update lines set allow_mixed = true where id = any ($1::bigint[])"};
const Statement kRemove{"lines_remove", "delete from lines where id = $1::bigint"};

}  // namespace

Result<bool> Lines::add(const std::string& name, const std::string& added_by) {
  return session_.changes(kAdd, Parameters(name, added_by));
}

Result<std::vector<std::string>> Lines::add_all(std::span<const std::string> names, const std::string& added_by) {
  return session_.all(kAddAll, Parameters(names, added_by), read_text);
}

Result<std::optional<Line>> Lines::find(const std::string& name) {
  return session_.first(kFind, Parameters(name), read);
}

Result<std::optional<Line>> Lines::lock(const std::string& name) {
  return session_.first(kLock, Parameters(name), read);
}

Result<std::vector<Line>> Lines::lock_all(std::span<const std::string> names) {
  return session_.all(kLockAll, Parameters(names), read);
}

Result<std::vector<Line>> Lines::list(const Page& page) {
  return session_.all(kList, Parameters(page.after, page.limit), read);
}

Result<std::vector<Line>> Lines::of_phones(std::span<const std::int64_t> phone_ids) {
  return session_.all(kOfPhones, Parameters(phone_ids), read);
}

Result<std::vector<Line>> Lines::lock_of_phones(std::span<const std::int64_t> phone_ids) {
  return session_.all(kLockOfPhones, Parameters(phone_ids), read);
}

Result<std::vector<std::string>> Lines::names_of_phone(std::int64_t phone_id) {
  return session_.all(kNamesOfPhone, Parameters(phone_id), read_text);
}

Result<std::vector<Line>> Lines::of_profile(std::int64_t profile_id, const Page& page) {
  return session_.all(kOfProfile, Parameters(profile_id, page.after, page.limit), read);
}

Status Lines::hold_modes() { return session_.execute(kHoldModes, Parameters()); }

Status Lines::lock_modes() { return session_.execute(kLockModes, Parameters()); }

Result<std::vector<LineMember>> Lines::members(std::span<const std::int64_t> line_ids) {
  return session_.all(kMembers, Parameters(line_ids), read_member);
}

Result<std::vector<std::int64_t>> Lines::neighbours(std::span<const std::int64_t> phone_ids, std::size_t limit) {
  return session_.all(kNeighbours, Parameters(phone_ids, limit), read_number);
}

Result<std::vector<std::string>> Lines::join(std::int64_t line_id, std::span<const std::int64_t> phone_ids) {
  return session_.all(kJoin, Parameters(line_id, phone_ids), read_text);
}

Result<std::vector<LineMembership>> Lines::join_all(std::span<const std::int64_t> line_ids,
                                                    std::span<const std::int64_t> phone_ids) {
  return session_.all(kJoinAll, Parameters(line_ids, phone_ids), read_membership);
}

Result<std::vector<LineMembership>> Lines::leave_all(std::span<const std::int64_t> line_ids,
                                                     std::span<const std::int64_t> phone_ids) {
  return session_.all(kLeaveAll, Parameters(line_ids, phone_ids), read_membership);
}

Result<std::vector<std::string>> Lines::with_too_many(std::span<const std::int64_t> phone_ids) {
  return session_.all(kWithTooMany, Parameters(phone_ids, kLinesOfPhone), read_text);
}

Status Lines::leave(std::int64_t line_id, std::span<const std::int64_t> phone_ids) {
  return session_.execute(kLeave, Parameters(line_id, phone_ids));
}

Status Lines::allow_mixed(std::span<const std::int64_t> line_ids) {
  return session_.execute(kAllowMixed, Parameters(line_ids));
}

Status Lines::remove(std::int64_t line_id) { return session_.execute(kRemove, Parameters(line_id)); }

}  // namespace capf::storage
