#include "storage/dossiers.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "storage/certificates.h"
#include "storage/issuers.h"
#include "storage/keys.h"
#include "storage/operations.h"
#include "storage/phones.h"
#include "storage/settings.h"

namespace capf::storage {
namespace {

// A row of the answer has what one of these kinds has, and NULL in the columns of the others.
enum Kind : int { kDevice, kOpen, kNewest, kLive, kShown, kConfirmed, kClaim, kRefused };

// `found` has the keys of what belongs to each device, by indexes alone; the select list brings the rows. A name that
// is not on record takes the same way. Subqueries with offset or limit, and not_after in a sum, keep plans that were
// made for empty tables from reading whole indexes. The columns that end in _ part the groups.
const std::string kOwn =
    "select i, 0, 0::bigint, phone_id, null::bigint, null::bigint, null::bytea from named "
    "union all select n.i, 1, 0, null, o.id, null, null from named n cross join lateral (select id from (" +
    latest_operation("id, finished_at", "n.phone_id") +
    ") as l where finished_at is null) as o "
    "union all select n.i, 2, -o.id, null, o.id, null, null from named n cross join lateral ("
    "select id from operations where phone_id = n.phone_id order by id desc limit 2) as o "
    "union all select n.i, 3, c.id, null, null, c.id, null from named n cross join lateral (select id from "
    "certificates c where "
    "c.phone_id = n.phone_id and c.kind = 'lsc' and (c.revoked_at is null or c.revocation_reason = 6) and "
    "(c.not_after + interval '0' >= now() or exists (select from operations o where o.id = c.operation_id and "
    "o.finished_at is null)) offset 0) as c ";
const std::string kOffered =
    "union all select s.i, 5, c.id, null, c.operation_id, c.id, null from confirmed s "
    "join certificates c on c.kind = 'lsc' and c.sha256 = s.sha256 "
    "union all select i, 6, 0, null, null, null, sha256 from claims ";
const std::string kShownFound =
    "union all select s.i, 4, c.id, null, c.operation_id, c.id, null from shown s "
    "join certificates c on c.kind = 'lsc' and c.sha256 = s.sha256 "
    "union all select s.i, 7, 0, null, null, null, s.sha256 from shown s cross join lateral ("
    "select from blocked_certificates where sha256 = s.sha256 limit 1) as b "
    "union all select k.i, 7, 0, null, null, null, k.sha256 from keys k cross join lateral ("
    "select from blocked_certificates where key_sha256 = k.sha256 limit 1) as b "
    "union all select k.i, 7, 0, null, null, null, k.sha256 from keys k cross join lateral ("
    "select from blocked_certificates where modulus_sha256 = k.sha256 limit 1) as b "
    "union all select k.i, 7, 0, null, null, null, k.sha256 from keys k "
    "join public_keys p on p.sha256 = k.sha256 and p.compromised ";
const std::string kRows =
    "select f.i, f.kind, microseconds(now()), microseconds(pg_postmaster_start_time()), "
    "pg_is_in_recovery(), "
    "(select revision from trust_revision), (select id from issuers where active), "
    "case when f.kind = 7 then f.key_sha256 end, "
    "case when f.kind = 0 then (select true from certificates h where h.phone_id = f.phone_id and h.kind = 'lsc' and "
    "h.revoked_at is null and h.superseded_at is null and h.confirmed_at is not null and "
    "now() between h.not_before and h.not_after + interval '0' limit 1) is not null end, "
    "case when f.kind = 0 then (select true from certificates h where h.phone_id = f.phone_id and "
    "h.confirmed_at is not null limit 1) is not null end, "
    "case when f.kind = 0 then p.revision end, "
    // The first profile has no settings.
    "case when f.kind = 0 and p.profile_id <> 1 then (select " +
    settings_lines("settings") +
    " from profiles where id = p.profile_id) end, "
    "case when f.kind = 0 then (select " +
    settings_lines("settings") +
    " from phone_settings where phone_id = p.id) end, "
    "case when f.kind = 0 then p.id end as phone_, " +
    phone_columns() + ", o.id as operation_, " + kOperationColumns + ", c.id as certificate_, " +
    certificate_columns() + ", i.id as issuer_, " + kIssuerColumns + ", k.sha256 as key_, " + kKeyColumns +
    " from found f left join certificates c on c.id = f.certificate_id "
    "left join operations o on o.id = f.operation_id "
    "left join phones p on p.id = coalesce(f.phone_id, o.phone_id, c.phone_id) "
    "left join lateral (select locked_until from device_strings where phone_id = f.phone_id offset 0) as s on true "
    "left join lateral (select at, address, transport, kind, reason, message from phone_attempts "
    "where phone_id = f.phone_id offset 0) as t on true "
    "left join issuers i on i.id = c.issuer_id "
    "left join public_keys k on k.sha256 = f.key_sha256 and f.kind = 6 "
    "order by f.i, f.kind, f.place";

// Each part of a statement costs its start also where nobody has anything for it, so there is one for each of the four.
struct Look {
  bool offered = false;  ///< keys, or a confirmed certificate
  bool shown = false;    ///< certificates
  Statement statement;
};

Look look_for(const char* name, bool offered, bool shown) {
  int number = 1;
  std::string text =
      "with asked as materialized (select i, device from unnest($1::text[]) with ordinality as a (device, i)), ";
  const auto add_digests = [&](const std::string& list) {
    const std::string members = std::to_string(++number);
    const std::string digests = std::to_string(++number);
    text += list + " as materialized (select distinct i, sha256 from unnest($" + members + "::bigint[], $" + digests +
            "::bytea[]) as given (i, sha256)), ";
  };
  if (offered) add_digests("confirmed"), add_digests("claims");
  if (shown) add_digests("shown"), add_digests("keys");
  text +=
      "named as materialized (select a.i, p.id as phone_id from asked a "
      "left join phones p on p.device = a.device and p.removed_at is null), "
      "found (i, kind, place, phone_id, operation_id, certificate_id, key_sha256) as (" +
      kOwn;
  if (offered) text += kOffered;
  if (shown) text += kShownFound;
  return {offered, shown, {name, text + ") " + kRows}};
}

const std::array kLooks{look_for("dossiers_look_named", false, false), look_for("dossiers_look_offered", true, false),
                        look_for("dossiers_look_shown", false, true), look_for("dossiers_look", true, true)};

/// The facts of a device alone.
struct Device {
  TimePoint now;
  TimePoint postmaster_start;
  bool standby = false;
  std::int64_t trust_revision = 0;
  std::optional<std::int64_t> active_issuer;
  std::optional<Sha256> refused;  ///< one of what it shows, for kRefused
  LscHistory history;
  std::int64_t revision = 0;
  Settings profile;
  Settings own;
};

struct Row {
  std::size_t member = 0;
  Kind kind = kDevice;
  Device device;
  std::optional<Phone> phone;
  std::optional<Operation> operation;
  std::optional<Certificate> certificate;
  std::optional<IssuerRecord> issuer;
  std::optional<KeyRow> key;
};

Device read_device_facts(Columns& columns, Kind kind) {
  Device device;
  device.now = columns.time();
  device.postmaster_start = columns.time();
  device.standby = columns.boolean();
  device.trust_revision = columns.number();
  device.active_issuer = columns.id_or_none();
  device.refused = columns.optional_digest();
  if (kind != kDevice) return device;
  device.history.valid = columns.boolean();
  device.history.ever_confirmed = columns.boolean();
  device.revision = columns.id();
  if (!columns.skip_null()) device.profile = read_settings(columns);
  if (!columns.skip_null()) device.own = read_settings(columns);
  return device;
}

/// Reads the columns behind `group`, where that is not NULL.
template <class T>
std::optional<T> read_group(Columns& columns, const char* group, T (*read)(Columns&)) {
  columns.seek(group);
  if (columns.previous_is_null()) return std::nullopt;
  return read(columns);
}

Row read(Columns& columns) {
  Row row;
  row.member = static_cast<std::size_t>(columns.number()) - 1;
  row.kind = static_cast<Kind>(columns.integer());
  row.device = read_device_facts(columns, row.kind);
  row.phone = read_group(columns, "phone_", read_phone);
  row.operation = read_group(columns, "operation_", read_operation);
  row.certificate = read_group(columns, "certificate_", read_certificate);
  row.issuer = read_group(columns, "issuer_", read_issuer);
  row.key = read_group(columns, "key_", read_key);
  return row;
}

/// Digests with the members whose they are, counted from 1.
struct Owned {
  std::vector<std::int64_t> members;
  std::vector<Sha256> digests;

  void add(std::size_t member, std::span<const Sha256> more) {
    members.insert(members.end(), more.size(), static_cast<std::int64_t>(member) + 1);
    digests.insert(digests.end(), more.begin(), more.end());
  }
};

/// The names and digests of a round.
struct Asked {
  std::vector<std::string> devices;
  Owned certificates, keys, confirmed, claims;

  explicit Asked(std::span<const Enquiry* const> enquiries) {
    for (std::size_t i = 0; i < enquiries.size(); ++i) {
      const Enquiry& enquiry = *enquiries[i];
      devices.push_back(enquiry.device.text());
      certificates.add(i, enquiry.certificates);
      keys.add(i, enquiry.keys);
      if (enquiry.confirmed) confirmed.add(i, {&*enquiry.confirmed, 1});
      for (const KeyClaim& claim : enquiry.claims) claims.add(i, claim.key.all());
    }
  }

  /// The least one that answers all of them.
  const Look& look() const {
    const bool offered = !confirmed.members.empty() || !claims.members.empty();
    const bool shown = !certificates.members.empty() || !keys.members.empty();
    return *std::ranges::find_if(kLooks, [&](const Look& l) { return l.offered == offered && l.shown == shown; });
  }

  Parameters parameters(const Look& look) const {
    Parameters parameters(devices);
    const auto add = [&](const Owned& owned) {
      parameters.add(owned.members);
      parameters.add(owned.digests);
    };
    if (look.offered) add(confirmed), add(claims);
    if (look.shown) add(certificates), add(keys);
    return parameters;
  }
};

void keep_issuer(Dossier& dossier, std::optional<IssuerRecord> issuer) {
  if (!issuer) return;
  const auto same = [&](const IssuerRecord& known) { return known.id == issuer->id; };
  if (std::ranges::none_of(dossier.issuers, same)) dossier.issuers.push_back(*std::move(issuer));
}

void take_device(Dossier& dossier, const Row& row) {
  dossier.now = row.device.now;
  dossier.postmaster_start = row.device.postmaster_start;
  dossier.standby = row.device.standby;
  dossier.trust_revision = row.device.trust_revision;
  dossier.active_issuer = row.device.active_issuer;
  dossier.history = row.device.history;
  dossier.revision = row.device.revision;
  dossier.profile = row.device.profile;
  dossier.own = row.device.own;
  dossier.phone = row.phone;
}

void take(Dossier& dossier, std::vector<KeyRow>& keys, Row row) {
  keep_issuer(dossier, std::move(row.issuer));
  const bool issued_shown = row.kind == kShown || row.kind == kConfirmed;
  if (issued_shown && row.operation) dossier.origins.push_back(*row.operation);
  switch (row.kind) {
    case kDevice: return take_device(dossier, row);
    case kOpen: dossier.open = std::move(row.operation); return;
    case kNewest: (dossier.last ? dossier.before : dossier.last) = std::move(row.operation); return;
    case kLive: dossier.live.push_back(*std::move(row.certificate)); return;
    case kShown: dossier.shown.push_back(*std::move(row.certificate)); return;
    case kConfirmed: dossier.confirmed = std::move(row.certificate); return;
    case kClaim:
      if (row.key) keys.push_back(*std::move(row.key));
      return;
    case kRefused: dossier.refused.push_back(*row.device.refused); return;
  }
  CAPF_INVARIANT(false);
}

std::vector<std::optional<KeyRecord>> records_of(const Enquiry& enquiry, const Dossier& dossier,
                                                 const std::vector<KeyRow>& keys) {
  std::vector<std::optional<KeyRecord>> records;
  for (const KeyClaim& claim : enquiry.claims) {
    std::vector<KeyRow> rows;
    const std::vector<Sha256> digests = claim.key.all();
    std::ranges::copy_if(keys, std::back_inserter(rows),
                         [&](const KeyRow& row) { return std::ranges::find(digests, row.sha256) != digests.end(); });
    records.push_back(record_of_claim(rows, claim, dossier.phone ? dossier.phone->id : 0));
  }
  return records;
}

}  // namespace

Result<std::vector<Dossier>> look(Session& session, std::span<const Enquiry* const> enquiries) {
  CAPF_INVARIANT(!enquiries.empty() && enquiries.size() <= kMostEnquiries);
  const Asked asked(enquiries);
  const Look& with = asked.look();
  CAPF_LET(auto rows, session.all(with.statement, asked.parameters(with), read));
  std::vector<Dossier> dossiers(enquiries.size());
  std::vector<std::vector<KeyRow>> keys(enquiries.size());
  for (Row& row : rows) {
    const std::size_t member = row.member;
    if (member >= dossiers.size()) return fail_internal("dossiers_look has a row of nobody");
    take(dossiers[member], keys[member], std::move(row));
  }
  for (std::size_t i = 0; i < dossiers.size(); ++i)
    dossiers[i].claims = records_of(*enquiries[i], dossiers[i], keys[i]);
  return dossiers;
}

}  // namespace capf::storage
