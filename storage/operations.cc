#include "storage/operations.h"

#include <functional>

#include "capf/domain/policy.h"
#include "storage/conditions.h"

namespace capf::storage {

Operation read_operation(Columns& columns) {
  const auto id = columns.number();
  const auto phone_id = columns.number();
  Operation operation{.id = id, .phone_id = phone_id, .device = columns.device()};
  operation.kind = columns.word(parse_operation_kind);
  operation.state = columns.word(parse_operation_state);
  operation.auth = columns.word(parse_auth_mode);
  operation.key.order = columns.word(parse_key_order);
  operation.key.rsa_bits = columns.integer();
  operation.key.ec_bits = columns.integer();
  operation.self_service = columns.boolean();
  operation.created_by = columns.text();
  operation.created_at = columns.time();
  operation.completes_by = columns.time();
  operation.finished_at = columns.optional_time();
  operation.reason = columns.optional_reason();
  operation.message = columns.text();
  operation.string_mac = columns.bytes();
  operation.string_digits = columns.integer();
  operation.certificates = columns.integer();
  operation.failures = columns.integer();
  operation.authenticated_by = columns.optional_word(parse_credential_kind);
  operation.authenticated_certificate = columns.optional_digest();
  operation.expired_mic = columns.boolean();
  operation.session = columns.number();
  if (const auto days = columns.id_or_none()) {
    operation.lsc = LscTerms{std::chrono::days{*days}, columns.word(parse_subject_form)};
  } else {
    columns.optional_word(parse_subject_form);
  }
  operation.owners = columns.optional_word(parse_term_owners);
  return operation;
}

std::string latest_operation(std::string_view columns, std::string_view phone) {
  return "select " + std::string(columns) + " from operations where phone_id = " + std::string(phone) +
         " order by (finished_at is null) desc, id desc limit 1";
}

std::optional<std::int64_t> validity_days(const std::optional<LscTerms>& terms) {
  if (!terms) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::days>(terms->validity).count();
}
std::optional<std::string> subject_word(const std::optional<LscTerms>& terms) {
  if (!terms) return std::nullopt;
  return std::string(to_string(terms->subject));
}
std::optional<std::string> owner_letters(const std::optional<TermOwners>& owners) {
  if (!owners) return std::nullopt;
  return to_letters(*owners);
}

namespace {

const std::string kSelect =
    std::string("select ") + kOperationColumns + " from operations o join phones p on p.id = o.phone_id";

const Statement kNextIds{"operations_next_ids", "select nextval('operation_ids') from generate_series(1, $1::bigint)"};
// In the order of their phones' ids, as every transaction that writes several of them does.
const Statement kAddAll{
    "operations_add_all",
    "with asked as (select id, phone_id, mac, digits, largest, auth, key_order, rsa_bits, ec_bits, completes_by, "
    "validity, subject, owners from unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bigint[], "
    "$6::text[], $7::text[], $8::int[], $9::int[], $10::timestamptz[], $11::int[], $12::text[], $13::text[]) as a (id, "
    "phone_id, mac, digits, largest, auth, key_order, rsa_bits, ec_bits, completes_by, validity, subject, owners)), "
    "added as (insert into operations (id, phone_id, kind, auth, key_order, rsa_bits, ec_bits, self_service, "
    "created_by, completes_by, string_mac, string_digits, run, lsc_validity_days, lsc_subject, owners) "
    "select id, phone_id, $14::text, auth, key_order, rsa_bits, ec_bits, false, $15::text, completes_by, "
    "nullif(mac, ''), digits, nullif($16::bytea, ''), validity, subject, owners "
    "from asked order by phone_id "
    "on conflict (phone_id) where finished_at is null do nothing returning id), "
    "strings as (insert into operation_strings (operation_id, largest) "
    "select id, asked.largest from added join asked using (id) where asked.auth = 'string' order by id) "
    "select count(*) from added"};
const Statement kFind{"operations_find", kSelect + " where o.id = $1::bigint"};
const Statement kFindOpen{"operations_find_open", kSelect + " where o.phone_id = $1::bigint and o.finished_at is null"};
const Statement kFindAllOpen{"operations_find_all_open",
                             kSelect + " where o.phone_id = any ($1::bigint[]) and o.finished_at is null"};
const Statement kFindLast{"operations_find_last",
                          kSelect + " where o.phone_id = $1::bigint order by o.id desc limit 1"};
const Statement kFindAll{"operations_find_all", kSelect + " where o.id = any ($1::bigint[]) order by p.device || ''"};
// A phone's operations are looked up by its id: LIMIT keeps the planner from reading the whole table.
const Statement kStandings{
    "operations_standings",
    "select p.id, p.device, p.blocked_at is not null, coalesce(o.id, 0), coalesce(o.open, false), "
    "coalesce(o.certificates, 0), coalesce(o.run = nullif($2::bytea, ''), false), "
    "coalesce(o.cancel_run = nullif($2::bytea, ''), false) from phones p left join lateral (" +
        latest_operation("id, finished_at is null as open, certificates, run, cancel_run", "p.id") +
        ") o on true "
        "where p.id = any ($1::bigint[]) and p.removed_at is null order by p.device || ''"};
const Statement kCancelAll{
    "operations_cancel_all",
    "with ended as (update operations o set state = 'cancelled', reason = null, message = $2::text, "
    "finished_at = now(), string_mac = null, cancel_run = nullif($3::bytea, '') from phones p where p.id = o.phone_id "
    "and "
    "o.phone_id = any ($1::bigint[]) and o.finished_at is null returning o.id, p.device), "
    "counts as (delete from operation_strings s using ended e where s.operation_id = e.id) "
    "select id, device from ended order by id"};
// Locks the phone as well: every change of an operation holds its phone's lock.
const Statement kLockOverdue{"operations_lock_overdue",
                             kSelect +
                                 " where o.finished_at is null and o.completes_by < $1::timestamptz "
                                 "order by o.completes_by limit $2::int for no key update skip locked"};

EndedOperation read_ended(Columns& columns) {
  const auto id = columns.number();
  return {id, columns.text()};
}

Standing read_standing(Columns& columns) {
  const auto phone_id = columns.number();
  Standing standing{.phone_id = phone_id, .device = columns.device()};
  standing.blocked = columns.boolean();
  standing.operation_id = columns.number();
  standing.open = columns.boolean();
  standing.certificates = columns.integer();
  standing.scheduled = columns.boolean();
  standing.cancelled = columns.boolean();
  return standing;
}

/// A value of each operation, as an array. @param value a member, or a function of the operation
template <class Value>
Array each_of(std::span<const NewOperation> operations, Value value) {
  Array array;
  for (const NewOperation& operation : operations) array.add(std::invoke(value, operation));
  return array;
}

}  // namespace

Result<std::vector<std::int64_t>> Operations::next_ids(std::size_t count) {
  return session_.all(kNextIds, Parameters(count), read_number);
}

Result<int> Operations::add_all(const Operation& common, std::span<const NewOperation> operations, BytesView run) {
  const auto each = [&](auto value) { return each_of(operations, value); };
  CAPF_LET(
      const std::int64_t added,
      session_.value(
          kAddAll,
          Parameters(each(&NewOperation::id), each(&NewOperation::phone_id), each(&NewOperation::string_mac),
                     each(&NewOperation::string_digits), each(&NewOperation::strings_limit),
                     each([](const NewOperation& one) { return to_string(one.auth); }),
                     each([](const NewOperation& one) { return to_string(one.key.order); }),
                     each([](const NewOperation& one) { return one.key.rsa_bits; }),
                     each([](const NewOperation& one) { return one.key.ec_bits; }), each(&NewOperation::completes_by),
                     each([](const NewOperation& one) { return validity_days(one.lsc); }),
                     each([](const NewOperation& one) { return subject_word(one.lsc); }),
                     each([](const NewOperation& one) { return owner_letters(one.owners); }), to_string(common.kind),
                     common.created_by, run),
          read_number));
  return static_cast<int>(added);
}

Result<std::vector<Operation>> Operations::find_all(std::span<const std::int64_t> ids) {
  return session_.all(kFindAll, Parameters(ids), read_operation);
}

Result<std::vector<Standing>> Operations::standings(std::span<const std::int64_t> phone_ids, BytesView run) {
  return session_.all(kStandings, Parameters(phone_ids, run), read_standing);
}

Result<std::optional<Operation>> Operations::find(std::int64_t id) {
  return session_.first(kFind, Parameters(id), read_operation);
}

Result<std::optional<Operation>> Operations::find_open(std::int64_t phone_id) {
  return session_.first(kFindOpen, Parameters(phone_id), read_operation);
}

Result<std::vector<Operation>> Operations::find_all_open(std::span<const std::int64_t> phone_ids) {
  return session_.all(kFindAllOpen, Parameters(phone_ids), read_operation);
}

Result<std::optional<Operation>> Operations::find_last(std::int64_t phone_id) {
  return session_.first(kFindLast, Parameters(phone_id), read_operation);
}

Result<std::vector<Operation>> Operations::list(const OperationFilter& filter, const Page& page) {
  Conditions where;
  add_page(where, "o.id", page);
  if (filter.state) {
    where.add("o.state = ?::text", to_string(*filter.state));
    if (is_open(*filter.state)) where.add("o.finished_at is null");
  }
  if (filter.open || filter.overdue) where.add("o.finished_at is null");
  if (filter.overdue) where.add("o.completes_by < now()");
  if (filter.kind) where.add("o.kind = ?::text", to_string(*filter.kind));
  if (filter.device) {
    where.add("o.phone_id = any (array(select id from phones where device = ?::text))", *filter.device);
  }
  if (filter.created_before) where.add("o.created_at < ?::timestamptz", *filter.created_before);
  const std::string limit = where.parameter(page.limit);
  // One device's are sorted: a plan that counts on more of them walks through all devices' in the order of their ids.
  const std::string order = (filter.device ? "o.id + 0" : "o.id") + std::string(page.newest ? " desc" : "");
  return session_.all_once(kSelect + where.text() + " order by " + order + " limit " + limit + "::int",
                           where.parameters(), read_operation);
}

Result<std::vector<EndedOperation>> Operations::cancel_all(std::span<const std::int64_t> phone_ids,
                                                           const std::string& message, BytesView run) {
  return session_.all(kCancelAll, Parameters(phone_ids, shortened(message, kLongestMessage), run), read_ended);
}

Result<std::vector<Operation>> Operations::lock_overdue(TimePoint deadline, int limit) {
  return session_.all(kLockOverdue, Parameters(deadline, limit), read_operation);
}

}  // namespace capf::storage
