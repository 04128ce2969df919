#include "storage/calls.h"

#include <map>
#include <string_view>
#include <tuple>

#include "storage/modes.h"

namespace capf::storage {
namespace {

const std::string kTrusted = "id, kind, name, level, microseconds(changed_at), changed_by";

TrustedParty read_trusted(Columns& columns) {
  TrustedParty party;
  party.id = columns.number();
  party.kind = columns.word(parse_party_kind);
  party.name = columns.text();
  party.level = columns.word(parse_device_mode);
  party.changed_at = columns.time();
  party.changed_by = columns.text();
  return party;
}

/// A row of the look: a party, with devices of it that are in one state, where it has any.
struct Looked {
  std::int64_t place = 0;  ///< from 1 on
  PartyFacts facts;
};

Looked read_looked(Columns& columns) {
  Looked looked;
  looked.place = columns.number();
  looked.facts.known = columns.boolean();
  looked.facts.removed = columns.boolean();
  if (const auto level = columns.optional_word(parse_device_mode)) looked.facts.trusted_level = *level;
  looked.facts.certificate = columns.optional_word(parse_seen_certificate);
  const SiteMode site = columns.word(parse_site_mode);
  if (columns.next_is_null()) return looked;
  PartyDevice& device = looked.facts.devices.emplace_back();
  device.name = columns.text();
  device.mode.site = site;
  device.mode.profile = columns.word(parse_device_mode);
  device.mode.blocked = columns.boolean();
  device.mode.lsc = columns.word(parse_lsc_status);
  device.mode.good_mic = columns.boolean();
  return looked;
}

// A line's devices are put together by their state, of which there are a few dozen, so that a call of many long lines
// has a short answer. Each part is found by an index, for one party after the other. The planner does not see the
// arrays, so that a session soon keeps one plan for any number of parties: planning takes longer than looking.
const Statement kLook{
    "calls_look",
    "with given as materialized (select $1::text[] as kinds, $2::text[] as names, $3::text[] as answered_by, "
    "$4::bytea[] as certificates) "
    "select a.place, d.id is not null or i.id is not null or t.id is not null, "
    "a.kind = 'device' and d.id is null and exists (select from phones where device = a.name), "
    "t.level, c.state, " +
        site_mode() +
        ", d.device, d.mode, d.blocked, d.lsc, d.good_mic "
        "from given g cross join lateral unnest(g.kinds, g.names, g.answered_by, g.certificates) with ordinality "
        "as a (kind, name, answered_by, certificate, place) "
        "left join trusted_parties t on t.kind = a.kind and t.name = a.name "
        "left join lines i on a.kind = 'line' and i.name = a.name "
        "left join lateral (select min(p.id) as id, min(p.device) as device, r.mode, p.blocked_at is not null as "
        "blocked, " +
        lsc_status("l") + " as lsc, " + allows_mic("r") + " and " + mic_is_good("p") +
        " as good_mic "
        "from (select id from phones where a.kind = 'device' and device = a.name and removed_at is null "
        "union all select phone_id from line_members where line_id = i.id) w "
        "join phones p on p.id = w.id and p.removed_at is null and (a.answered_by is null or p.device = a.answered_by) "
        "join profiles r on r.id = p.profile_id "
        "left join phone_lscs l on l.phone_id = p.id "
        "group by 3, 4, 5, 6) d on true "
        "left join lateral (select case "
        "when exists (select from blocked_certificates b where b.sha256 = a.certificate) then 'blocked' "
        "when k.phone_id = d.id and k.revocation_reason <> 4 and k.revocation_reason <> 6 then 'revoked' "
        "when k.phone_id = d.id and k.superseded_at is not null then 'superseded' "
        "when k.phone_id = d.id and k.revoked_at is not null then 'held' "
        "when k.phone_id = d.id and k.not_after <= now() then 'expired' "
        "when k.phone_id = d.id then 'own' "
        "when k.phone_id is not null then 'of_another_device' "
        "when p.id is null then 'not_on_record' "
        "when not (" +
        mic_is_good("p") +
        ") then 'expired' "
        "else 'own' end as state "
        "from (values (a.certificate)) as o (sha256) "
        "left join certificates k on k.sha256 = o.sha256 and k.kind = 'lsc' "
        "left join phones p on p.id = d.id and p.mic_sha256 = o.sha256 "
        "where a.certificate is not null) c on true "
        "order by a.place, d.device"};
const Statement kTrust{"calls_trust",
                       "insert into trusted_parties as t (kind, name, level, changed_by) "
                       "values ($1::text, $2::text, $3::text, $4::text) on conflict (kind, name) do update "
                       "set level = excluded.level, changed_at = now(), changed_by = excluded.changed_by "
                       "where t.level <> excluded.level"};
const Statement kDistrust{
    "calls_distrust", "delete from trusted_parties where kind = $1::text and name = $2::text returning " + kTrusted};
// A level that is not on record says that it is not trusted at all.
const Statement kWithdraw{
    "calls_withdraw",
    "with given as materialized (select j->>'kind' as kind, j->>'name' as name, j->>'level' as level "
    "from (select $1::text::jsonb as j) r), "
    "lowered as (update trusted_parties t set level = g.level, changed_at = now(), changed_by = $2::text from given g "
    "where t.kind = g.kind and t.name = g.name and g.level = 'authenticated' and t.level = 'encrypted' "
    "returning t.id, t.kind, t.name, t.level), "
    "gone as (delete from trusted_parties t using given g where t.kind = g.kind and t.name = g.name and "
    "g.level is null returning t.id, t.kind, t.name) "
    "select id, kind, name, level, microseconds(now()), $2::text from lowered union all "
    "select id, kind, name, 'nonsecure', microseconds(now()), $2::text from gone"};
const Statement kListTrusted{
    "calls_list_trusted",
    "select " + kTrusted + " from trusted_parties where id > $1::bigint order by id limit $2::int"};

}  // namespace

Result<std::vector<PartyFacts>> Calls::look(std::span<const CallParty> parties) {
  // A party that is named several times is looked at once: a line of 500 devices costs as many looks.
  using Key = std::tuple<std::string_view, std::string_view, std::string_view, std::optional<Sha256>>;
  std::map<Key, std::size_t> places;
  std::vector<std::size_t> place_of;
  Array kinds, names, answered_by, certificates;
  for (const CallParty& party : parties) {
    const Key key(to_string(party.kind), party.name, party.answered_by, party.observed.certificate);
    const auto [known, added] = places.emplace(key, places.size());
    place_of.push_back(known->second);
    if (!added) continue;
    kinds.add(to_string(party.kind));
    names.add(party.name);
    answered_by.add(party.answered_by.empty() ? std::nullopt : std::optional(party.answered_by));
    certificates.add(party.observed.certificate);
  }
  CAPF_LET(auto rows, session_.all(kLook, Parameters(kinds, names, answered_by, certificates), read_looked));
  std::vector<PartyFacts> seen;
  std::int64_t place = 0;
  for (Looked& row : rows) {
    if (row.place == place) {
      seen.back().devices.push_back(std::move(row.facts.devices.front()));
    } else {
      seen.push_back(std::move(row.facts));
    }
    place = row.place;
  }
  if (seen.size() != places.size()) return fail_internal("the look at a call has another number of parties");
  std::vector<PartyFacts> facts;
  for (const std::size_t each : place_of) facts.push_back(seen[each]);
  return facts;
}

Result<bool> Calls::trust(const TrustedParty& party) {
  return session_.changes(kTrust,
                          Parameters(to_string(party.kind), party.name, to_string(party.level), party.changed_by));
}

Result<std::optional<TrustedParty>> Calls::distrust(PartyKind kind, const std::string& name) {
  return session_.first(kDistrust, Parameters(to_string(kind), name), read_trusted);
}

Result<std::optional<TrustedParty>> Calls::withdraw(const std::string& row, const std::string& by) {
  return session_.first(kWithdraw, Parameters(row, by), read_trusted);
}

Result<std::vector<TrustedParty>> Calls::list_trusted(const Page& page) {
  return session_.all(kListTrusted, Parameters(page.after, page.limit), read_trusted);
}

}  // namespace capf::storage
