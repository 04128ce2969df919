#include "storage/campaigns.h"

namespace capf::storage {
namespace {

std::optional<std::int64_t> seconds_of(const std::optional<std::chrono::seconds>& time) {
  if (!time) return std::nullopt;
  return time->count();
}

std::optional<std::chrono::seconds> read_seconds(Columns& columns) {
  const auto seconds = columns.id_or_none();
  if (!seconds) return std::nullopt;
  return std::chrono::seconds{*seconds};
}

std::optional<std::string> read_optional_text(Columns& columns) {
  if (columns.skip_null()) return std::nullopt;
  return columns.text();
}

const std::string kSelect =
    "select c.id, c.name, c.state, c.auth, c.rate_phones, c.rate_seconds, c.spread_seconds, c.open_hours, c.time_zone, "
    "c.stop_at_percent, c.patience_seconds, c.run, c.attempt, c.ran_seconds, c.released, microseconds(c.round_at), "
    "c.why, c.created_by, microseconds(c.created_at), microseconds(c.ended_at) from campaigns c";

CampaignTerms read_terms(Columns& columns) {
  CampaignTerms terms;
  terms.auth = columns.word(parse_auth_mode);
  const auto phones = columns.id_or_none();
  const auto time = read_seconds(columns);
  if (phones) terms.rate = Rate{static_cast<int>(*phones), time.value()};
  terms.spread = read_seconds(columns);
  auto hours = read_optional_text(columns);
  auto zone = read_optional_text(columns);
  if (hours) terms.window = Hours{*std::move(hours), std::move(zone).value()};
  terms.stop_at_percent = columns.integer();
  terms.patience = read_seconds(columns);
  return terms;
}

Campaign read(Columns& columns) {
  Campaign campaign;
  campaign.id = columns.number();
  campaign.name = columns.text();
  campaign.state = columns.word(parse_campaign_state);
  campaign.terms = read_terms(columns);
  campaign.run = columns.bytes();
  campaign.attempt = columns.integer();
  campaign.ran = std::chrono::seconds{columns.number()};
  campaign.released = columns.number();
  campaign.round_at = columns.optional_time();
  campaign.why = columns.text();
  campaign.created_by = columns.text();
  campaign.created_at = columns.time();
  campaign.ended_at = columns.optional_time();
  return campaign;
}

CampaignFigure read_figure(Columns& columns) {
  CampaignFigure figure{.state = columns.word(parse_campaign_phone_state)};
  figure.reason = columns.text();
  figure.phones = columns.number();
  return figure;
}

TakenPhone read_taken(Columns& columns) {
  std::string device = columns.text();
  return {std::move(device), columns.text()};
}

SelectedPhone read_selected(Columns& columns) {
  const std::int64_t id = columns.number();
  return {id, columns.device()};
}

PhoneRelease read_release(Columns& columns) {
  const std::int64_t number = columns.number();
  PhoneRelease release{.number = number, .device = columns.device(), .released_at = {}};
  release.released_at = columns.time();
  release.late = columns.boolean();
  return release;
}

RenewalPhone read_renewal(Columns& columns) {
  const std::int64_t id = columns.number();
  RenewalPhone phone{.id = id, .view = {.device = columns.device(), .not_before = {}, .not_after = {}}};
  RenewalView& view = phone.view;
  view.not_before = columns.time();
  view.not_after = columns.time();
  view.blocked = columns.boolean();
  view.busy = columns.boolean();
  view.state = columns.optional_word(parse_campaign_phone_state);
  const auto due = columns.optional_time();
  const auto late = columns.optional_time();
  const bool anew = columns.boolean();
  if (due && late) view.times = RenewalTimes{*due, *late, anew};
  if (columns.next_is_null()) return phone;
  KeyPolicy key;
  key.order = columns.word(parse_key_order);
  key.rsa_bits = columns.integer();
  key.ec_bits = columns.integer();
  phone.key = key;
  return phone;
}

const Statement kAdd{
    "campaigns_add",
    "insert into campaigns (name, state, auth, rate_phones, rate_seconds, spread_seconds, open_hours, time_zone, "
    "stop_at_percent, patience_seconds, run, created_by) values ($1::text, 'new', $2::text, $3::int, $4::int, $5::int, "
    "$6::text, $7::text, $8::int, $9::int, $10::bytea, $11::text) on conflict (name) do nothing returning id"};
const Statement kFind{"campaigns_find", kSelect + " where c.name = $1::text"};
const Statement kLock{"campaigns_lock", kSelect + " where c.name = $1::text for no key update"};
const Statement kLockId{"campaigns_lock_id", kSelect + " where c.id = $1::bigint for no key update"};
const Statement kList{"campaigns_list", kSelect + " where c.id > $1::bigint order by c.id limit $2::int"};
const Statement kUnderWay{"campaigns_under_way", kSelect + " where c.ended_at is null order by c.id limit $1::int"};
const Statement kToClean{
    "campaigns_to_clean",
    kSelect +
        " where (c.state = 'new' and c.changed_at < now() - $1::bigint * interval '1 hour') or "
        "(c.state = 'cancelled' and exists (select from campaign_phones p where p.campaign_id = c.id and "
        "p.campaign_id <> 1 and p.state = 'waiting')) or (c.ended_at < now() - $2::bigint * interval '1 hour' and "
        "exists (select from campaign_phones p where p.campaign_id = c.id)) order by c.id limit 10"};
const Statement kSet{"campaigns_set",
                     "update campaigns set state = $2::text, attempt = $3::int, ran_seconds = $4::bigint, "
                     "released = $5::bigint, round_at = $6::timestamptz, why = $7::text, ended_at = $8::timestamptz, "
                     "changed_at = now() where id = $1::bigint"};
const Statement kForgetFigures{"campaigns_forget_figures",
                               "delete from campaign_figures where campaign_id = $1::bigint"};
const Statement kRemove{"campaigns_remove", "delete from campaigns where id = $1::bigint and state = 'new'"};
const Statement kFigures{"campaigns_figures",
                         "select state, reason, sum(phones)::bigint from campaign_figures where campaign_id = "
                         "$1::bigint and attempt = coalesce($2::int, attempt) group by state, reason having "
                         "sum(phones) <> 0 order by state, reason"};
const Statement kAddPhones{
    "campaigns_add_phones",
    "with added as (insert into campaign_phones (campaign_id, phone_id, device, place) select $1::bigint, id, device, "
    "place from unnest($2::bigint[], $3::text[], $4::bigint[]) n (id, device, place) order by id on conflict do "
    "nothing returning 1) select count(*) from added"};
const Statement kTaken{"campaigns_taken",
                       "select p.device, c.name from campaign_phones p join campaigns c on c.id = p.campaign_id where "
                       "p.phone_id = any ($2::bigint[]) and p.campaign_id <> $1::bigint and p.campaign_id <> 1 and "
                       "p.state in ('waiting', 'released', 'late') order by p.device limit $3::int"};
const Statement kWaiting{"campaigns_waiting",
                         "select phone_id, device from campaign_phones where campaign_id = $1::bigint and campaign_id "
                         "<> 1 and state = 'waiting' and place < $2::bigint order by campaign_id, place limit $3::int"};
const Statement kRelease{
    "campaigns_release",
    "update campaign_phones p set state = case when coalesce($5::timestamptz, p.patience_until) <= now() then 'late' "
    "else 'released' end, attempt = $2::int, operation_id = n.operation, released_at = now(), release_no = "
    "nextval('campaign_releases'), patience_until = coalesce($5::timestamptz, p.patience_until), reason = null from "
    "unnest($3::bigint[], $4::bigint[]) n (phone, operation) where p.campaign_id = $1::bigint and p.phone_id = "
    "n.phone"};
const Statement kEnd{"campaigns_end",
                     "update campaign_phones set state = $3::text, attempt = $4::int, reason = $5::text where "
                     "campaign_id = $1::bigint and phone_id = any ($2::bigint[]) and state in ('waiting', 'released', "
                     "'late') and state <> $3::text"};
const Statement kWithdraw{
    "campaigns_withdraw",
    "with gone as (update campaign_phones set state = 'cancelled' where ctid = any (array(select ctid from "
    "campaign_phones where campaign_id = $1::bigint and campaign_id <> 1 and state = 'waiting' order by campaign_id, "
    "place limit $2::int for no key update)) returning 1) select count(*) from gone"};
const Statement kDrop{"campaigns_drop",
                      "with gone as (delete from campaign_phones where ctid = any (array(select ctid from "
                      "campaign_phones where campaign_id = $1::bigint order by campaign_id, phone_id limit $2::int for "
                      "update)) returning 1) select count(*) from gone"};
// The latest end of each phone counts. A renewal also ends by an LSC of another operation, even while the phone waits.
const Statement kTakeEnds{
    "campaigns_take_ends",
    "with taken as (delete from campaign_ends where id in (select id from campaign_ends order by id limit $1::int for "
    "update) returning id, campaign_id, phone_id, operation_id, state, reason), "
    "last as (select distinct on (campaign_id, phone_id) campaign_id, phone_id, operation_id, state, reason from taken "
    "order by campaign_id, phone_id, id desc), "
    "ended as (update campaign_phones p set state = l.state, reason = l.reason from last l where p.campaign_id = "
    "l.campaign_id and p.phone_id = l.phone_id and p.state in ('waiting', 'released', 'late') and (l.operation_id is "
    "null or (p.operation_id = l.operation_id and p.state <> 'waiting')) returning 1) "
    "select count(*) from taken"};
// The last refusal of such a phone is the reason, where there was one.
const Statement kMarkLate{
    "campaigns_mark_late",
    "with late as (update campaign_phones p set state = 'late', reason = (select a.reason from phone_attempts a where "
    "a.phone_id = p.phone_id and a.at >= p.released_at) where p.ctid = any (array(select ctid from campaign_phones "
    "where state = 'released' and patience_until is not null and patience_until <= now() order by patience_until limit "
    "$1::int for no key update)) returning 1) select count(*) from late"};
const Statement kReleased{
    "campaigns_released",
    "select release_no, device, microseconds(released_at), state = 'late' from campaign_phones where campaign_id = "
    "$1::bigint and state in ('released', 'late') and release_no > $2::bigint order by campaign_id, release_no limit "
    "$3::int"};
const Statement kLooks{"campaigns_looks",
                       "select phone_id from phone_lscs where renewal_look_at is not null and renewal_look_at <= now() "
                       "order by renewal_look_at limit $1::int"};
// Each phone is looked up by its id: LIMIT keeps the planner from reading whole tables.
const Statement kRenewals{
    "campaigns_renewals",
    "select p.id, p.device, microseconds(c.not_before), microseconds(c.not_after), p.blocked, p.busy, r.state, "
    "microseconds(r.due_at), microseconds(r.patience_until), coalesce(r.anew, false), o.key_order, o.rsa_bits, "
    "o.ec_bits from "
    "unnest($1::bigint[]) n (id) cross join lateral (select w.id, w.device, w.blocked_at is not null as blocked, "
    "(w.blocked_at is not null or w.self_service_stopped_at is not null or exists (select from operations where "
    "phone_id = w.id and finished_at is null) or exists (select from campaign_phones where phone_id = w.id and state "
    "in ('waiting', 'released', 'late') and campaign_id <> 1)) as busy from phones w where w.id = n.id and "
    "w.removed_at is null limit 1) p cross join lateral (select l.phone_id from phone_lscs l where l.phone_id = n.id "
    "and l.lsc || '' = 'valid' limit 1) v cross join lateral (select operation_id, not_before, not_after from "
    "certificates "
    "where phone_id = n.id and kind = 'lsc' and confirmed_at is not null order by phone_id desc, id desc limit 1) c "
    "left join lateral (select state, due_at, patience_until, anew from campaign_phones where campaign_id = 1 and "
    "phone_id = "
    "n.id limit 1) r on true left join lateral (select key_order, rsa_bits, ec_bits from operations where id = "
    "c.operation_id limit 1) o on true order by p.id"};
const Statement kPlan{
    "campaigns_plan",
    "insert into campaign_phones as p (campaign_id, phone_id, device, due_at, patience_until, anew) select 1, id, "
    "device, due, late, anew from unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::timestamptz[], "
    "$5::boolean[]) "
    "n (id, device, due, late, anew) "
    "order by id on conflict (campaign_id, phone_id) do update set state = 'waiting', due_at = excluded.due_at, "
    "patience_until = excluded.patience_until, anew = excluded.anew, operation_id = null, reason = null"};
const Statement kWithLsc{"campaigns_with_lsc",
                         "select phone_id from phone_lscs where phone_id > $1::bigint and lsc = 'valid' order by "
                         "phone_id limit $2::int"};
const Statement kLookAnew{"campaigns_look_anew",
                          "update phone_lscs set renewal_look_at = renewal_look_of(phone_id) where phone_id = any "
                          "($1::bigint[]) and lsc = 'valid' and not_after > now()"};
const Statement kSetLooks{"campaigns_set_looks",
                          "update phone_lscs l set renewal_look_at = n.at from unnest($1::bigint[], "
                          "$2::timestamptz[]) n (id, at) where l.phone_id = n.id"};

}  // namespace

Result<std::optional<std::int64_t>> Campaigns::add(const Campaign& campaign) {
  const CampaignTerms& terms = campaign.terms;
  std::optional<int> rate;
  std::optional<std::int64_t> rate_time;
  if (terms.rate) {
    rate = terms.rate->phones;
    rate_time = terms.rate->time.count();
  }
  std::optional<std::string> hours;
  std::optional<std::string> zone;
  if (terms.window) {
    hours = terms.window->text;
    zone = terms.window->zone;
  }
  return session_.first(
      kAdd,
      Parameters(campaign.name, to_string(terms.auth), rate, rate_time, seconds_of(terms.spread), hours, zone,
                 terms.stop_at_percent, seconds_of(terms.patience), campaign.run, campaign.created_by),
      read_number);
}

Result<std::optional<Campaign>> Campaigns::find(const std::string& name) {
  return session_.first(kFind, Parameters(name), read);
}

Result<std::optional<Campaign>> Campaigns::lock(const std::string& name) {
  return session_.first(kLock, Parameters(name), read);
}

Result<std::optional<Campaign>> Campaigns::lock(std::int64_t id) {
  return session_.first(kLockId, Parameters(id), read);
}

Result<std::vector<Campaign>> Campaigns::list(const Page& page) {
  return session_.all(kList, Parameters(page.after, page.limit), read);
}

Result<std::vector<Campaign>> Campaigns::under_way(int limit) {
  return session_.all(kUnderWay, Parameters(limit), read);
}

Result<std::vector<Campaign>> Campaigns::to_clean(std::chrono::hours abandoned, std::chrono::hours kept) {
  return session_.all(kToClean, Parameters(abandoned.count(), kept.count()), read);
}

Status Campaigns::set(const Campaign& campaign) {
  return session_.execute(kSet, Parameters(campaign.id, to_string(campaign.state), campaign.attempt,
                                           campaign.ran.count(), campaign.released, campaign.round_at,
                                           shortened(campaign.why, kLongestMessage), campaign.ended_at));
}

Status Campaigns::remove(std::int64_t id) {
  CAPF_TRY(session_.execute(kForgetFigures, Parameters(id)));
  return session_.execute(kRemove, Parameters(id));
}

Result<std::vector<CampaignFigure>> Campaigns::figures(std::int64_t id, std::optional<int> attempt) {
  return session_.all(kFigures, Parameters(id, attempt), read_figure);
}

Result<int> Campaigns::add_phones(std::int64_t id, std::span<const CampaignPhone> phones) {
  Array ids;
  Array devices;
  Array places;
  for (const CampaignPhone& phone : phones) {
    ids.add(phone.id);
    devices.add(phone.device);
    places.add(phone.place);
  }
  CAPF_LET(const std::int64_t added, session_.value(kAddPhones, Parameters(id, ids, devices, places), read_number));
  return static_cast<int>(added);
}

Result<std::vector<TakenPhone>> Campaigns::taken(std::int64_t id, std::span<const std::int64_t> phones, int limit) {
  return session_.all(kTaken, Parameters(id, phones, limit), read_taken);
}

Result<std::vector<SelectedPhone>> Campaigns::waiting(std::int64_t id, std::int64_t through, int limit) {
  return session_.all(kWaiting, Parameters(id, through, limit), read_selected);
}

Status Campaigns::release(const Campaign& campaign, const ReleasedPhones& phones,
                          const std::optional<TimePoint>& patience_until) {
  return session_.execute(kRelease, Parameters(campaign.id, campaign.attempt, std::span(phones.phones),
                                               std::span(phones.operations), patience_until));
}

Status Campaigns::end(const Campaign& campaign, std::span<const std::int64_t> phones, CampaignPhoneState state,
                      const std::optional<Reason>& reason) {
  std::optional<std::string> word;
  if (reason) word = to_string(*reason);
  return session_.execute(kEnd, Parameters(campaign.id, phones, to_string(state), campaign.attempt, word));
}

Result<int> Campaigns::withdraw(std::int64_t id, int limit) {
  CAPF_LET(const std::int64_t gone, session_.value(kWithdraw, Parameters(id, limit), read_number));
  return static_cast<int>(gone);
}

Result<int> Campaigns::drop(std::int64_t id, int limit) {
  CAPF_LET(const std::int64_t gone, session_.value(kDrop, Parameters(id, limit), read_number));
  return static_cast<int>(gone);
}

Result<int> Campaigns::take_ends(int limit) {
  CAPF_LET(const std::int64_t taken, session_.value(kTakeEnds, Parameters(limit), read_number));
  return static_cast<int>(taken);
}

Result<int> Campaigns::mark_late(int limit) {
  CAPF_LET(const std::int64_t late, session_.value(kMarkLate, Parameters(limit), read_number));
  return static_cast<int>(late);
}

Result<std::vector<PhoneRelease>> Campaigns::released(std::int64_t id, std::int64_t after, int limit) {
  return session_.all(kReleased, Parameters(id, after, limit), read_release);
}

Result<std::vector<std::int64_t>> Campaigns::looks(int limit) {
  return session_.all(kLooks, Parameters(limit), read_number);
}

Result<std::vector<RenewalPhone>> Campaigns::renewals(std::span<const std::int64_t> phones) {
  return session_.all(kRenewals, Parameters(phones), read_renewal);
}

Status Campaigns::plan(std::span<const RenewalPhone> phones, std::span<const RenewalTimes> times) {
  Array ids;
  Array devices;
  Array due;
  Array late;
  Array anew;
  for (std::size_t i = 0; i < phones.size(); ++i) {
    ids.add(phones[i].id);
    devices.add(phones[i].view.device);
    due.add(times[i].due);
    late.add(times[i].late);
    anew.add(times[i].anew);
  }
  return session_.execute(kPlan, Parameters(ids, devices, due, late, anew));
}

Result<std::vector<std::int64_t>> Campaigns::with_lsc(std::int64_t after, int limit) {
  return session_.all(kWithLsc, Parameters(after, limit), read_number);
}

Status Campaigns::look_anew(std::span<const std::int64_t> phones) {
  return session_.execute(kLookAnew, Parameters(phones));
}

Status Campaigns::set_looks(std::span<const std::pair<std::int64_t, std::optional<TimePoint>>> looks) {
  Array ids;
  Array times;
  for (const auto& [id, at] : looks) {
    ids.add(id);
    times.add(at);
  }
  return session_.execute(kSetLooks, Parameters(ids, times));
}

}  // namespace capf::storage
