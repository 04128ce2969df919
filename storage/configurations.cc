#include "storage/configurations.h"

#include "storage/mode_facts.h"
#include "storage/modes.h"
#include "storage/operations.h"
#include "storage/settings.h"

namespace capf::storage {
namespace {

const char* word_of(ConfigurationKind kind) {
  switch (kind) {
    case ConfigurationKind::kPhone: return "";
    case ConfigurationKind::kTemplate: return "template";
    case ConfigurationKind::kDefault: return "default";
  }
  CAPF_INVARIANT(false);
}

ConfigurationKind kind_of(const std::string& word) {
  if (word == "template") return ConfigurationKind::kTemplate;
  return word == "default" ? ConfigurationKind::kDefault : ConfigurationKind::kPhone;
}

const std::string kSource =
    "c.id, coalesce(c.site, ''), c.revision, microseconds(c.imported_at), c.imported_by, c.source";

ConfigurationSource read_source(Columns& columns) {
  ConfigurationSource source;
  source.id = columns.number();
  source.kind = kind_of(columns.text());
  source.revision = columns.number();
  source.imported_at = columns.time();
  source.imported_by = columns.text();
  source.source = columns.optional_bytes();
  return source;
}

EncryptedConfiguration read_encrypted(Columns& columns) {
  EncryptedConfiguration configuration;
  configuration.id = columns.number();
  configuration.phone_id = columns.id();
  configuration.source = columns.bytes();
  return configuration;
}

void read_digest_user(Columns& columns, ConfigurationFacts& facts) {
  facts.digest_user_id = columns.id();
  facts.digest_user = columns.text();
  facts.digest_password = columns.optional_bytes();
  if (const auto set_at = columns.optional_time()) facts.digest_set_at = *set_at;
}

ConfigurationFacts read_facts(Columns& columns) {
  const std::int64_t id = columns.number();
  ConfigurationFacts facts{.phone_id = id, .device = columns.device()};
  facts.model = columns.text();
  facts.profile = read_settings(columns);
  facts.own = read_settings(columns);
  facts.mode = read_mode_facts(columns);
  facts.lsc = columns.bytes();
  facts.mic = columns.bytes();
  facts.pending = columns.optional_word(parse_auth_mode);
  read_digest_user(columns, facts);
  if (!columns.next_is_null()) facts.source = read_source(columns);
  return facts;
}

// Each part by an index of its own, whatever the statistics say, hence the limits. As many rows as the planner thinks
// of when it does not see the arrays, hence their selects: else it would plan anew each time. The source of a known
// revision stays where it is.
const Statement kFacts{
    "configurations_facts",
    "select a.place, p.id, p.device, p.model, " + settings_lines("f.settings") + ", " + settings_lines("w.settings") +
        ", " + kModeFacts +
        ", coalesce(c1.der, ''), coalesce(m.der, ''), o.auth, u.id, coalesce(u.name, ''), u.password, "
        "microseconds(u.password_set_at), c.id, coalesce(c.site, ''), c.revision, microseconds(c.imported_at), "
        "c.imported_by, case when sum(c.octets) over (order by a.place) - c.octets < $4::bigint then c.source end "
        "from unnest((select $1::text[]), (select $2::bigint[]), (select $3::bigint[])) with ordinality "
        "as a (device, known_id, known_revision, place) "
        "cross join lateral (select id, device, model, profile_id, mic_sha256, removed_at, blocked_at from phones "
        "where device = a.device and removed_at is null limit 1) p "
        "cross join lateral (select mode, settings from profiles where id = p.profile_id limit 1) f "
        "left join lateral (select settings from phone_settings where phone_id = p.id limit 1) w on true "
        "left join lateral (select der from certificates where phone_id = p.id and kind = 'lsc' and "
        "confirmed_at is not null order by phone_id desc, id desc limit 1) c1 on true "
        "left join lateral (select der from phone_mics m where phone_id = p.id and sha256 = p.mic_sha256 and not " +
        mic_is_blocked() +
        " limit 1) m on true "
        "left join lateral (" +
        latest_operation("case when finished_at is null and completes_by > now() then auth end as auth", "p.id") +
        ") o on true "
        "left join lateral (select coalesce(login_id, user_id) as user_id from phone_digest where phone_id = p.id "
        "limit 1) d on true "
        "left join lateral (select id, name, password, password_set_at from digest_users where id = d.user_id limit 1) "
        "u on true "
        "left join lateral (select id, site, revision, imported_at, imported_by, source, case when a.known_id >= 0 and "
        "(id <> a.known_id or revision <> a.known_revision) then octet_length(source) end as octets "
        "from configurations where id = coalesce((select id from configurations where phone_id = p.id), "
        "(select id from configurations where site = 'template')) limit 1) c on true order by a.place"};
const Statement kOfSite{"configurations_of_site",
                        "select " + kSource + " from configurations c where c.site = $1::text"};
const Statement kLockSite{"configurations_lock_site",
                          "select pg_advisory_xact_lock(hashtext('capf'), hashtext('configurations'))"};
const std::string kEncrypted = "select c.id, c.phone_id, c.source from configurations c ";
const Statement kOfPhones{"configurations_of_phones", kEncrypted + "where c.phone_id = any ($1::bigint[])"};
const Statement kNextIds{"configurations_next_ids",
                         "select nextval('configurations_id_seq') from generate_series(1, $1::int)"};
const Statement kPut{
    "configurations_put",
    "insert into configurations as c (id, phone_id, site, source, imported_by) "
    "select n.id, n.phone_id, nullif(n.site, ''), n.source, $5::text "
    "from unnest($1::bigint[], $2::bigint[], $3::text[], $4::bytea[]) n (id, phone_id, site, source) order by n.id "
    "on conflict (id) do update set source = excluded.source, revision = c.revision + 1, imported_at = now(), "
    "imported_by = excluded.imported_by"};
const Statement kRemove{"configurations_remove", "delete from configurations where id = any ($1::bigint[])"};
const Statement kLockOlder{"configurations_lock_older",
                           kEncrypted +
                               "where c.generation < $1::smallint order by c.generation, c.id limit $2::int "
                               "for update"};
const Statement kReplace{"configurations_replace",
                         "update configurations c set source = n.source from unnest($1::bigint[], $2::bytea[]) "
                         "n (id, source) where c.id = n.id"};

}  // namespace

Result<std::vector<std::optional<ConfigurationFacts>>> Configurations::facts(
    std::span<const ConfigurationQuestion> asked) {
  Array devices;
  Array ids;
  Array revisions;
  for (const ConfigurationQuestion& question : asked) {
    devices.add(question.device);
    ids.add(question.known.first);
    revisions.add(question.known.second);
  }
  return session_.placed(kFacts, Parameters(devices, ids, revisions, kSourceOctets), asked.size(), read_facts);
}

Result<std::optional<ConfigurationSource>> Configurations::of_site(ConfigurationKind kind) {
  return session_.first(kOfSite, Parameters(word_of(kind)), read_source);
}

Result<std::optional<ConfigurationSource>> Configurations::lock_of_site(ConfigurationKind kind) {
  CAPF_TRY(session_.execute(kLockSite, Parameters()));
  return of_site(kind);
}

Result<std::vector<EncryptedConfiguration>> Configurations::of_phones(std::span<const std::int64_t> phone_ids) {
  return session_.all(kOfPhones, Parameters(phone_ids), read_encrypted);
}

Result<std::vector<std::int64_t>> Configurations::next_ids(std::size_t count) {
  return session_.all(kNextIds, Parameters(count), read_number);
}

Status Configurations::put(std::span<const NewConfiguration> configurations, const std::string& imported_by) {
  Array ids;
  Array phones;
  Array sites;
  Array sources;
  for (const NewConfiguration& configuration : configurations) {
    ids.add(configuration.id);
    phones.add(unless_zero(configuration.phone_id));
    sites.add(word_of(configuration.kind));
    sources.add(configuration.source);
  }
  return session_.execute(kPut, Parameters(ids, phones, sites, sources, imported_by));
}

Status Configurations::remove(std::span<const std::int64_t> ids) { return session_.execute(kRemove, Parameters(ids)); }

Result<std::vector<EncryptedConfiguration>> Configurations::lock_older(int generation, int limit) {
  return session_.all(kLockOlder, Parameters(generation, limit), read_encrypted);
}

Status Configurations::replace_sources(std::span<const EncryptedConfiguration> configurations) {
  Array ids;
  Array sources;
  for (const EncryptedConfiguration& configuration : configurations) {
    ids.add(configuration.id);
    sources.add(configuration.source);
  }
  return session_.execute(kReplace, Parameters(ids, sources));
}

}  // namespace capf::storage
