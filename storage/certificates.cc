#include "storage/certificates.h"

#include <algorithm>

#include "storage/conditions.h"
#include "storage/selection.h"

namespace capf::storage {

namespace {

std::optional<RevocationReason> read_reason(Columns& columns) {
  const auto code = columns.id_or_none();
  return code ? std::optional(revocation_reason_from_code(static_cast<int>(*code)).value()) : std::nullopt;
}

std::pair<std::int64_t, Sha256> read_handed_over(Columns& columns) {
  const std::int64_t phone_id = columns.number();
  return {phone_id, columns.digest()};
}

constexpr Column<Certificate> kColumns[]{
    {"c.id", into<&Certificate::id, &Columns::number>},
    {"c.kind", into<&Certificate::kind, word<parse_certificate_kind>>},
    {"c.sha256", into<&Certificate::sha256, &Columns::digest>},
    {"c.serial", into<&Certificate::serial, &Columns::bytes>},
    {"c.issuer_id", into<&Certificate::issuer_id, &Columns::id>},
    {"c.issuer", into<&Certificate::issuer, &Columns::text>},
    {"c.phone_id", into<&Certificate::phone_id, &Columns::number>},
    {"p.device", into<&Certificate::device, &Columns::text>},
    {"c.operation_id", into<&Certificate::operation_id, &Columns::id>},
    {"c.key_sha256", into<&Certificate::key_sha256, &Columns::digest>},
    {"c.der", into<&Certificate::der, &Columns::bytes>},
    {"microseconds(c.not_before)", into<&Certificate::not_before, &Columns::time>},
    {"microseconds(c.not_after)", into<&Certificate::not_after, &Columns::time>},
    {"microseconds(c.issued_at)", into<&Certificate::issued_at, &Columns::time>},
    {"c.possession", into<&Certificate::possession, word<parse_possession>>},
    {"c.shard", into<&Certificate::shard, &Columns::integer>},
    {"microseconds(c.confirmed_at)", into<&Certificate::confirmed_at, &Columns::optional_time>},
    {"microseconds(c.superseded_at)", into<&Certificate::superseded_at, &Columns::optional_time>},
    {"microseconds(c.revoked_at)", into<&Certificate::revoked_at, &Columns::optional_time>},
    {"c.revocation_reason", into<&Certificate::revocation_reason, read_reason>},
};

}  // namespace

std::string certificate_columns() { return list_of(kColumns); }

Certificate read_certificate(Columns& columns) {
  Certificate certificate;
  read_columns(kColumns, columns, certificate);
  return certificate;
}

RevocableLsc read_revocable(Columns& columns) {
  RevocableLsc lsc;
  lsc.id = columns.number();
  lsc.phone_id = columns.number();
  lsc.device = columns.text();
  lsc.serial = columns.bytes();
  lsc.operation_id = columns.id();
  lsc.key_sha256 = columns.digest();
  return lsc;
}

namespace {

const std::string kFrom = " from certificates c join phones p on p.id = c.phone_id";
const std::string kSelect = "select " + certificate_columns() + kFrom;

const Statement kFindLsc{"certificates_find_lsc", kSelect + " where c.kind = 'lsc' and c.sha256 = $1::bytea"};
const Statement kFindSerial{
    "certificates_find_serial",
    kSelect + " where ltrim(c.serial, '\\x00'::bytea) = ltrim($1::bytea, '\\x00'::bytea) order by c.id limit 100"};
const std::string kLiveOnly =
    " and c.kind = 'lsc' and (c.revoked_at is null or c.revocation_reason = 6) and c.not_after >= now() order by c.id";
const Statement kLive{"certificates_live", kSelect + " where c.phone_id = $1::bigint" + kLiveOnly};
const Statement kLiveOfAll{"certificates_live_of_all", kSelect + " where c.phone_id = any ($1::bigint[])" + kLiveOnly};
const Statement kPhonesWithLsc{
    "certificates_phones_with_lsc",
    "select distinct phone_id from certificates where kind = 'lsc' and phone_id = any ($1::bigint[]) and "
    "revoked_at is null and superseded_at is null and now() between not_before and not_after"};
const Statement kLiveOfIssuer{"certificates_live_of_issuer",
                              kSelect +
                                  " where c.kind = 'lsc' and c.issuer_id = $1::bigint and "
                                  "(c.revoked_at is null or c.revocation_reason = 6) and c.not_after >= now() "
                                  "order by c.phone_id, c.id limit $2::int"};
const Statement kOfPhone{"certificates_of_phone",
                         kSelect + " where c.phone_id = $1::bigint order by c.id desc limit $2::int"};
// By the phone: with "kind = 'handed_over'" the statistics of an empty site choose the index of its list, all of it.
const Statement kHandedOver{
    "certificates_handed_over_of_all",
    "select phone_id, sha256 from certificates where phone_id = any ($1::bigint[]) and kind <> 'lsc'"};
const Statement kRelease{"certificates_release",
                         "update certificates set revoked_at = null, revocation_reason = null, released_at = now() "
                         "where id = $1::bigint and revocation_reason = 6 and not_after >= now()"};
// The oldest first, by their own index; then each phone once.
const Statement kSupersededPhones{
    "certificates_superseded_phones",
    "select distinct phone_id from (select phone_id from certificates where superseded_at is not null and "
    "revoked_at is null and superseded_at <= $1::timestamptz and not_after >= now() order by superseded_at limit "
    "$2::int) as due order by 1"};
const Statement kMissing{"certificates_missing",
                         "select named from unnest($1::bytea[]) as named where not exists (select from certificates "
                         "where kind = 'lsc' and ltrim(serial, '\\x00'::bytea) = named) limit 1"};

const Statement kStatuses{
    "certificates_statuses",
    "select serial, microseconds(not_after), microseconds(revoked_at), revocation_reason, microseconds(released_at) "
    "from certificates where kind = 'lsc' and issuer_id = $1::bigint and serial = any ($2::bytea[])"};
// After a restore the narrow table may have more: revocations that a CRL brought back.
const Statement kRevokedAlone{
    "certificates_revoked_alone",
    "select serial, microseconds(expires_at), microseconds(revoked_at), reason, null from revocations "
    "where issuer_id = $1::bigint and serial = any ($2::bytea[])"};

SerialStatus read_status(Columns& columns) {
  SerialStatus status;
  status.serial = columns.serial();
  status.not_after = columns.time();
  status.revoked_at = columns.optional_time();
  status.reason = read_reason(columns);
  status.released_at = columns.optional_time();
  return status;
}

SerialNumber read_serial(Columns& columns) { return columns.serial(); }

SelectionCount read_selection_count(Columns& columns) {
  SelectionCount count;
  count.certificates = columns.number();
  count.phones = columns.number();
  count.last_id = columns.number();
  return count;
}

// The same order of states as in Certificate::state().
std::string_view condition(CertificateState state) {
  switch (state) {
    case CertificateState::kSuperseded: return "c.superseded_at is not null";
    case CertificateState::kRevoked: return "c.revoked_at is not null and c.superseded_at is null";
    case CertificateState::kExpired: return "c.revoked_at is null and c.superseded_at is null and c.not_after < now()";
    case CertificateState::kConfirmed:
      return "c.revoked_at is null and c.superseded_at is null and c.not_after >= now() and c.confirmed_at is not null";
    case CertificateState::kIssued:
      return "c.revoked_at is null and c.superseded_at is null and c.not_after >= now() and c.confirmed_at is null";
  }
  CAPF_INVARIANT(false);
}

void add_conditions(Conditions& where, const CertificateSelection& selection) {
  where.add("c.kind = 'lsc' and c.not_after >= now()");
  where.add(selection.held ? "(c.revoked_at is null or c.revocation_reason = 6)" : "c.revoked_at is null");
  if (selection.devices) where.add("p.device like ?::text", like_pattern(*selection.devices));
  if (selection.models) where.add("p.model like ?::text", like_pattern(*selection.models));
  if (selection.issuer_id) where.add("c.issuer_id = ?::bigint", *selection.issuer_id);
  if (selection.issued_after) where.add("c.issued_at >= ?::timestamptz", *selection.issued_after);
  if (selection.issued_before) where.add("c.issued_at < ?::timestamptz", *selection.issued_before);
  if (selection.expires_before) where.add("c.not_after < ?::timestamptz", *selection.expires_before);
  if (selection.state) where.add(condition(*selection.state));
  if (selection.superseded_before) {
    where.add("c.revoked_at is null and c.superseded_at <= ?::timestamptz", *selection.superseded_before);
  }
  if (!selection.serials.empty()) {
    where.add("ltrim(c.serial, '\\x00'::bytea) = any (?::bytea[])", std::span<const SerialNumber>(selection.serials));
  }
  if (selection.through) where.add("c.id <= ?::bigint", *selection.through);
}

/// FROM and WHERE of what is selected.
struct Selected {
  explicit Selected(const CertificateSelection& selection) {
    add_conditions(where, selection);
    if (selection.phones) from += join_selected(where, *selection.phones);
  }
  std::string text() const { return from + where.text(); }

  std::string from = kFrom;
  Conditions where;
  bool few = false;  ///< an index finds all of it
};

/// The same where an index finds all of it, if one does. Selections without phones are left to the planner.
Result<Selected> find_selected(Session& session, const CertificateSelection& selection) {
  Selected selected(selection);
  selected.few = !selection.phones || !selection.serials.empty();
  if (selected.few) return selected;
  CAPF_LET(const auto rare, rare_ids(session, *selection.phones));
  if (!rare) return selected;
  selected.where.add("c.phone_id = any (?::bigint[])", std::span<const std::int64_t>(*rare));
  selected.few = true;
  return selected;
}

// A page looks at the next rows only where no index finds the phones, so that its work is bounded.
const std::string kWindow = " order by id offset " + std::to_string(kFewPhones - 1) + " limit 1";
const Statement kWindowOfPhones{"certificates_window_of_phones",
                                "select id from phones where id > $1::bigint" + kWindow};
const Statement kWindowOfCertificates{"certificates_window",
                                      "select id from certificates where id > $1::bigint" + kWindow};

/// The page of these rows. @param end of the window; nothing where it reaches to the last row
template <class Row, class Id>
SelectedPage<Row> page_of(std::vector<Row> rows, int limit, std::optional<std::int64_t> end, Id id) {
  if (rows.size() == static_cast<std::size_t>(limit)) end = id(rows.back());
  return {std::move(rows), end};
}

}  // namespace

Result<std::optional<Certificate>> Certificates::find_lsc(const Sha256& sha256) {
  return session_.first(kFindLsc, Parameters(sha256), read_certificate);
}

Result<std::vector<Certificate>> Certificates::find_serial(BytesView serial) {
  return session_.all(kFindSerial, Parameters(serial), read_certificate);
}

Result<std::vector<Certificate>> Certificates::live(std::int64_t phone_id) {
  return session_.all(kLive, Parameters(phone_id), read_certificate);
}

Result<std::vector<Certificate>> Certificates::live_of_all(std::span<const std::int64_t> phone_ids) {
  return session_.all(kLiveOfAll, Parameters(phone_ids), read_certificate);
}

Result<std::vector<std::int64_t>> Certificates::phones_with_lsc(std::span<const std::int64_t> phone_ids) {
  return session_.all(kPhonesWithLsc, Parameters(phone_ids), read_number);
}

Result<std::vector<Certificate>> Certificates::live_of_issuer(std::int64_t issuer_id, int limit) {
  return session_.all(kLiveOfIssuer, Parameters(issuer_id, limit), read_certificate);
}

Result<std::vector<Certificate>> Certificates::of_phone(std::int64_t phone_id, int limit) {
  return session_.all(kOfPhone, Parameters(phone_id, limit), read_certificate);
}

Result<std::vector<std::pair<std::int64_t, Sha256>>> Certificates::handed_over(
    std::span<const std::int64_t> phone_ids) {
  return session_.all(kHandedOver, Parameters(phone_ids), read_handed_over);
}

Result<std::vector<Certificate>> Certificates::list(const CertificateFilter& filter, const Page& page) {
  Conditions where;
  add_page(where, "c.id", page);
  if (filter.device) {
    where.add("c.phone_id = any (array(select id from phones where device = ?::text))", *filter.device);
  }
  if (filter.issuer_id) where.add("c.issuer_id = ?::bigint", *filter.issuer_id);
  if (filter.state) where.add(condition(*filter.state));
  if (filter.expires_before) where.add("c.not_after < ?::timestamptz", *filter.expires_before);
  if (filter.kind) where.add("c.kind = ?::text", to_string(*filter.kind));
  const std::string limit = where.parameter(page.limit);
  // One device's are sorted: a plan that counts on more of them walks through all devices' in the order of their ids.
  const std::string order = (filter.device ? "c.id + 0" : "c.id") + std::string(page.newest ? " desc" : "");
  return session_.all_once(kSelect + where.text() + " order by " + order + " limit " + limit + "::int",
                           where.parameters(), read_certificate);
}

Result<bool> Certificates::release(std::int64_t id) { return session_.changes(kRelease, Parameters(id)); }

Result<std::vector<std::int64_t>> Certificates::superseded_phones(TimePoint before, int limit) {
  return session_.all(kSupersededPhones, Parameters(before, limit), read_number);
}

Result<SelectionCount> Certificates::count(const CertificateSelection& selection) {
  CAPF_LET(const Selected selected, find_selected(session_, selection));
  CAPF_LET(const auto counts,
           session_.all_once("select count(*), count(distinct c.phone_id), coalesce(max(c.id), 0)" + selected.text(),
                             selected.where.parameters(), read_selection_count));
  return counts.front();
}

Result<SelectedPage<Certificate>> Certificates::list_selected(const CertificateSelection& selection, const Page& page) {
  CAPF_LET(Selected selected, find_selected(session_, selection));
  selected.where.add("c.id > ?::bigint", page.after);
  std::optional<std::int64_t> end;
  if (!selected.few) {
    CAPF_LET(end, session_.first(kWindowOfCertificates, Parameters(page.after), read_number));
  }
  if (end) selected.where.add("c.id <= ?::bigint", *end);
  const std::string limit = selected.where.parameter(page.limit);
  CAPF_LET(auto rows, session_.all_once("select " + certificate_columns() + selected.text() + " order by c.id limit " +
                                            limit + "::int",
                                        selected.where.parameters(), read_certificate));
  return page_of(std::move(rows), page.limit, end, [](const Certificate& each) { return each.id; });
}

Result<std::optional<SerialNumber>> Certificates::find_missing(std::span<const SerialNumber> serials) {
  return session_.first(kMissing, Parameters(serials), read_serial);
}

Result<SelectedPage<std::int64_t>> Certificates::selected_phones(const CertificateSelection& selection,
                                                                 const Page& page) {
  CAPF_LET(Selected selected, find_selected(session_, selection));
  // Conditions for both tables, so that neither is read from its beginning.
  const std::string place = selected.where.parameter(page.after) + "::bigint";
  selected.where.add("c.phone_id > " + place + " and p.id > " + place);
  std::optional<std::int64_t> end;
  if (!selected.few) {
    CAPF_LET(end, session_.first(kWindowOfPhones, Parameters(page.after), read_number));
  }
  if (end) selected.where.add("c.phone_id <= ?::bigint and p.id <= ?::bigint", *end);
  const std::string limit = selected.where.parameter(page.limit);
  CAPF_LET(auto ids, session_.all_once("select distinct c.phone_id" + selected.text() + " order by c.phone_id limit " +
                                           limit + "::int",
                                       selected.where.parameters(), read_number));
  return page_of(std::move(ids), page.limit, end, [](std::int64_t id) { return id; });
}

Result<std::vector<RevocableLsc>> Certificates::selected(const CertificateSelection& selection,
                                                         std::span<const std::int64_t> phone_ids) {
  Selected selected(selection);
  selected.where.add("c.phone_id = any (?::bigint[])", phone_ids);
  return session_.all_once("select c.id, c.phone_id, p.device, c.serial, c.operation_id, c.key_sha256" +
                               selected.text() + " order by c.phone_id, c.id",
                           selected.where.parameters(), read_revocable);
}

Result<std::vector<SerialStatus>> Certificates::statuses(std::int64_t issuer_id,
                                                         std::span<const SerialNumber> serials) {
  CAPF_LET(auto found, session_.all(kStatuses, Parameters(issuer_id, serials), read_status));
  std::vector<SerialNumber> missing;
  for (const SerialNumber& serial : serials) {
    const auto same = [&](const SerialStatus& status) { return status.serial == serial; };
    if (std::none_of(found.begin(), found.end(), same)) missing.push_back(serial);
  }
  if (missing.empty()) return found;
  CAPF_LET(const auto alone,
           session_.all(kRevokedAlone, Parameters(issuer_id, std::span<const SerialNumber>(missing)), read_status));
  found.insert(found.end(), alone.begin(), alone.end());
  return found;
}

}  // namespace capf::storage
