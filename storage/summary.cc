#include "storage/summary.h"

#include "storage/mode_facts.h"

namespace capf::storage {
namespace {

using Count = std::pair<std::string, std::int64_t>;

Count read_count(Columns& columns) {
  std::string name = columns.text();
  return {std::move(name), columns.number()};
}

std::pair<int, std::int64_t> read_within(Columns& columns) {
  const int days = columns.integer();
  return {days, columns.number()};
}

Summary read_figures(Columns& columns) {
  Summary summary;
  summary.overdue = columns.number();
  summary.oldest_pending = columns.optional_time();
  summary.phones = columns.number();
  summary.lscs_expired = columns.number();
  summary.lscs_unconfirmed = columns.number();
  summary.issuer_not_after = columns.optional_time();
  summary.renewals_late = columns.number();
  return summary;
}

Expiry read_expiry(Columns& columns) {
  Expiry expiry;
  expiry.kind = columns.word(parse_expiry_kind);
  expiry.name = columns.text();
  expiry.role = columns.optional_word(parse_role);
  expiry.not_after = columns.time();
  expiry.spare = columns.boolean();
  return expiry;
}

ModeFigures::value_type read_figure(Columns& columns) {
  const DeviceMode mode = columns.word(parse_device_mode);
  const ModeReason reason = columns.word(parse_mode_reason);
  const std::int64_t phones = columns.number();
  return {{mode, reason}, {phones, columns.number()}};
}

struct CountedGroup {
  ModeCount::Group group;
  ModeCount::Place last;
};
CountedGroup read_group(Columns& columns) {
  CountedGroup counted;
  counted.group.facts = read_mode_facts(columns);
  counted.group.figure.phones = columns.number();
  counted.group.figure.without_digest_user = columns.number();
  counted.last.profile_id = columns.number();
  counted.last.phone_id = columns.number();
  return counted;
}

// Each part reads a partial index, or a window of one.
const Statement kOpen{"summary_open",
                      "select state, count(*) from operations where finished_at is null group by state"};
const Statement kEnded{"summary_ended",
                       "select state, count(*) from operations where finished_at is not null and finished_at > now() - "
                       "interval '24 hours' "
                       "group by state"};
const Statement kReasons{"summary_reasons",
                         "select reason, count(*) from operations where finished_at is not null and finished_at > "
                         "now() - interval '24 hours' "
                         "and state = 'failed' and reason is not null group by reason"};
const Statement kRefusals{
    "summary_refusals",
    "select reason, sum(count)::bigint from refusals where minute > now() - interval '1 hour' group by reason"};
// Ids are drawn one after the other, so that the smallest one of the open operations is the oldest's.
const Statement kFigures{
    "summary_figures",
    "select (select count(*) from operations where finished_at is null and completes_by < now()), "
    "(select microseconds(created_at) from operations where finished_at is null order by id limit 1), "
    "(select phones from totals), "
    "(select count(*) from phone_lscs where lsc = 'valid' and not_after < now()), "
    "(select count(*) from certificates c join operations o on o.id = c.operation_id where c.kind = 'lsc' "
    "and c.revoked_at is null and c.superseded_at is null and c.confirmed_at is null and c.not_after >= now() and "
    "o.finished_at is not null), "
    "(select microseconds(not_after) from issuers where active), "
    "(select coalesce(sum(phones), 0)::bigint from campaign_figures where campaign_id = 1 and state = 'late')"};
const Statement kExpiring{
    "summary_expiring",
    "select days, (select count(*) from phone_lscs where lsc = 'valid' and not_after >= now() "
    "and not_after < now() + make_interval(days => days)) from unnest($1::int[]) as asked (days)"};
// Leaves out issuers that are not active and have ended, because none of their certificates is still valid.
const Statement kExpiries{
    "summary_expiries",
    "select 'administrator', name, role, microseconds(certificate_not_after), row_number() over (partition by role "
    "order by certificate_not_after desc, name) > 1 from administrators where disabled_at is null and ends_at is null "
    "union all select 'issuer', subject, null, microseconds(not_after), not active from issuers where retired_at is "
    "null and (active or not_after > now()) order by 4, 1, 2"};
const Statement kModes{"summary_modes", "select mode, reason, phones, without_digest_user from mode_figures"};
// The facts of some phones, of which there are few kinds.
const Statement kCountModes{
    "summary_count_modes",
    "with part as materialized (select id, profile_id from phones where profile_id <> 1 and "
    "(profile_id, id) > ($1::bigint, $2::bigint) order by profile_id, id limit $3::int), "
    "their as (select site_mode, profile_mode, removed, blocked, lsc, good_mic, without from part cross join lateral "
    "(select " +
        kModeFacts +
        ", coalesce((select settings ->> 'digest' from phone_settings where phone_id = p.id), f.settings ->> 'digest', "
        "'off') = 'on' and not exists (select from phone_digest where phone_id = p.id) as without from phones p join "
        "profiles f on f.id = p.profile_id where p.id = part.id limit 1) n) "
        "select site_mode, profile_mode, removed, blocked, lsc, good_mic, count(*), count(*) filter (where without), "
        "(select profile_id from part order by profile_id desc, id desc limit 1), "
        "(select id from part order by profile_id desc, id desc limit 1) "
        "from their group by site_mode, profile_mode, removed, blocked, lsc, good_mic"};
const Statement kForgetModes{"summary_forget_modes", "delete from mode_figures"};
const Statement kSetModes{"summary_set_modes",
                          "insert into mode_figures (mode, reason, phones, without_digest_user) select mode, reason, "
                          "phones, without from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) as figure "
                          "(mode, reason, phones, without)"};

}  // namespace

Result<Summary> Overview::summary(std::span<const int> days) {
  CAPF_LET(auto summary, session_.value(kFigures, Parameters(), read_figures));
  std::vector<std::int64_t> asked(kExpiryDays.begin(), kExpiryDays.end());
  asked.insert(asked.end(), days.begin(), days.end());
  CAPF_LET(const auto expiring, session_.all(kExpiring, Parameters(std::span<const std::int64_t>(asked)), read_within));
  summary.lscs_expiring.insert(expiring.begin(), expiring.end());
  for (const OperationState state : kOperationStates) summary.operations[state] = 0;
  for (const Statement& statement : {kOpen, kEnded}) {
    CAPF_LET(const auto counts, session_.all(statement, Parameters(), read_count));
    for (const auto& [state, count] : counts) {
      if (const auto known = parse_operation_state(state)) summary.operations[*known] = count;
    }
  }
  CAPF_LET(const auto reasons, session_.all(kReasons, Parameters(), read_count));
  summary.reasons.insert(reasons.begin(), reasons.end());
  CAPF_LET(const auto refusals, session_.all(kRefusals, Parameters(), read_count));
  summary.refusals.insert(refusals.begin(), refusals.end());
  CAPF_LET(summary.expiries, session_.all(kExpiries, Parameters(), read_expiry));
  CAPF_LET(summary.modes, modes());
  return summary;
}

Result<ModeFigures> Overview::modes() {
  CAPF_LET(const auto figures, session_.all(kModes, Parameters(), read_figure));
  return ModeFigures(figures.begin(), figures.end());
}

Result<ModeCount> Overview::count_modes(const ModeCount::Place& after, int limit) {
  CAPF_LET(const auto counted,
           session_.all(kCountModes, Parameters(after.profile_id, after.phone_id, limit), read_group));
  ModeCount count;
  for (const CountedGroup& each : counted) {
    count.groups.push_back(each.group);
    count.last = each.last;
  }
  return count;
}

Status Overview::set_modes(const ModeFigures& figures) {
  Array modes;
  Array reasons;
  Array phones;
  Array without;
  for (const auto& [key, figure] : figures) {
    modes.add(to_string(key.first));
    reasons.add(to_string(key.second));
    phones.add(figure.phones);
    without.add(figure.without_digest_user);
  }
  CAPF_TRY(session_.execute(kForgetModes, Parameters()));
  return session_.execute(kSetModes, Parameters(modes, reasons, phones, without));
}

}  // namespace capf::storage
