#include "storage/digest.h"

#include <set>

#include "storage/mode_facts.h"

namespace capf::storage {
namespace {

const std::string kUser =
    "u.id, u.name, coalesce(u.realm, ''), microseconds(u.created_at), microseconds(u.password_set_at)";
const std::string kSecret = "u.password, u.ha1, coalesce(u.realm, '')";
const std::string kSelect = "select " + kUser + " from digest_users u ";

DigestUser read_user(Columns& columns) {
  DigestUser user;
  user.id = columns.number();
  user.name = columns.text();
  user.realm = columns.text();
  user.created_at = columns.time();
  user.password_set_at = columns.time();
  return user;
}

DigestSecret read_secret(Columns& columns) {
  DigestSecret secret;
  secret.password = columns.optional_bytes();
  secret.ha1 = columns.optional_bytes();
  secret.realm = columns.text();
  return secret;
}

EncryptedUser read_encrypted(Columns& columns) {
  EncryptedUser user;
  user.id = columns.number();
  user.secret = read_secret(columns);
  return user;
}

PhoneDigest read_phone(Columns& columns) {
  PhoneDigest digest;
  digest.user = columns.text();
  digest.login = columns.text();
  digest.login_at = columns.optional_time();
  return digest;
}

DigestAssignment read_assignment(Columns& columns) {
  DigestAssignment row;
  row.user = read_user(columns);
  row.secret = read_secret(columns);
  row.phone_id = columns.id();
  row.device = columns.text();
  row.lsc = columns.optional_digest();
  if (!columns.next_is_null()) row.mode = effective_mode(read_mode_facts(columns)).mode;
  return row;
}

std::optional<std::string> unless_empty(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return text;
}

const Statement kNextIds{"digest_next_ids", "select nextval('digest_users_id_seq') from generate_series(1, $1::int)"};
const Statement kAdd{
    "digest_add",
    "insert into digest_users (id, name, password, ha1, realm) select n.id, n.name, n.password, n.ha1, "
    "n.realm from unnest($1::bigint[], $2::text[], $3::bytea[], $4::bytea[], $5::text[]) "
    "n (id, name, password, ha1, realm) on conflict (name) do nothing returning name"};
const Statement kExisting{"digest_existing",
                          "select u.name from unnest($1::text[]) n (name) join digest_users u on u.name = n.name"};
const Statement kFind{"digest_find", kSelect + "where u.name = $1::text"};
const Statement kLock{"digest_lock", kSelect + "where u.name = $1::text for update"};
const Statement kHold{"digest_hold", kSelect + "where u.name = $1::text for key share"};
const Statement kList{"digest_list", kSelect + "where u.id > $1::bigint order by u.id limit $2::int"};
const Statement kGetSecret{"digest_secret", "select " + kSecret + " from digest_users u where u.id = $1::bigint"};
const Statement kSetSecret{"digest_set_secret",
                           "update digest_users set password = $2::bytea, ha1 = $3::bytea, realm = $4::text, "
                           "password_set_at = now() where id = $1::bigint"};
const Statement kRemove{"digest_remove", "delete from digest_users where id = $1::bigint"};
// Each half by its index.
const std::string kPhonesOf =
    "(select phone_id from phone_digest where user_id = $1::bigint union "
    "select phone_id from phone_digest where login_id = $1::bigint) d";
const Statement kCountPhones{"digest_count_phones", "select count(*) from " + kPhonesOf};
const Statement kFirstPhones{"digest_first_phones",
                             "select p.device from (select phone_id from " + kPhonesOf +
                                 " order by phone_id limit $2::int) d join phones p on p.id = d.phone_id "
                                 "order by p.id"};

const Statement kOfPhone{"digest_of_phone",
                         "select coalesce(u.name, ''), coalesce(l.name, ''), microseconds(d.login_at) "
                         "from phone_digest d left join digest_users u on u.id = d.user_id "
                         "left join digest_users l on l.id = d.login_id where d.phone_id = $1::bigint"};
const Statement kSetPhone{"digest_set_phone",
                          "insert into phone_digest as d (phone_id, user_id) values ($1::bigint, $2::bigint) "
                          "on conflict (phone_id) do update set user_id = excluded.user_id "
                          "where d.user_id is distinct from excluded.user_id"};
const Statement kUnsetPhone{
    "digest_unset_phone",
    "with kept as (update phone_digest set user_id = null where phone_id = $1::bigint and user_id is not null and "
    "login_id is not null returning 1), gone as (delete from phone_digest where phone_id = $1::bigint and "
    "login_id is null returning 1) select exists (select from kept) or exists (select from gone)"};
const Statement kLogIn{"digest_log_in",
                       "insert into phone_digest (phone_id, login_id, login_at) values ($1::bigint, $2::bigint, now()) "
                       "on conflict (phone_id) do update set login_id = excluded.login_id, login_at = "
                       "excluded.login_at"};
const Statement kLogOut{
    "digest_log_out",
    "with kept as (update phone_digest set login_id = null, login_at = null where phone_id = $1::bigint and "
    "user_id is not null) delete from phone_digest where phone_id = $1::bigint and user_id is null"};
const Statement kAssignments{
    "digest_assignments",
    "select " + kUser + ", " + kSecret +
        ", d.phone_id, coalesce(p.device, ''), l.sha256, m.* from digest_users u "
        // The second condition says nothing new, but lets a merge begin there.
        "left join phone_digest d on coalesce(d.login_id, d.user_id) = u.id and "
        "coalesce(d.login_id, d.user_id) >= $1::bigint "
        "left join phones p on p.id = d.phone_id left join lateral (select " +
        kModeFacts +
        " from profiles f where f.id = p.profile_id offset 0) m on true "
        "left join lateral (select case when c.revoked_at is null then c.sha256 end as sha256 from certificates c "
        "where c.phone_id = d.phone_id and c.kind = 'lsc' and c.confirmed_at is not null order by c.id desc limit 1) l "
        "on true where u.id >= $1::bigint and (u.id > $1::bigint or coalesce(d.phone_id, 0) > $2::bigint) "
        "order by u.id, d.phone_id limit $3::int"};

const Statement kLockOlder{"digest_lock_older", "select u.id, " + kSecret +
                                                    " from digest_users u where u.generation < $1::smallint "
                                                    "order by u.generation, u.id limit $2::int for update"};
const Statement kReplace{"digest_replace",
                         "update digest_users u set password = n.password, ha1 = n.ha1 from unnest($1::bigint[], "
                         "$2::bytea[], $3::bytea[]) n (id, password, ha1) where u.id = n.id"};
const Statement kRealm{"digest_realm", "select realm from digest_site"};
const Statement kSetRealm{"digest_set_realm",
                          "insert into digest_site as s (realm) values ($1::text) on conflict (only_one) do update set "
                          "realm = excluded.realm where s.realm = $2::text"};
// Either side of the realm by the index.
const Statement kOtherRealms{
    "digest_other_realms",
    "select count(*) from ((select from digest_users where realm < $1::text limit 1000) union all "
    "(select from digest_users where realm > $1::text limit 1000)) o"};

}  // namespace

Result<std::vector<std::int64_t>> DigestUsers::next_ids(int count) {
  return session_.all(kNextIds, Parameters(count), read_number);
}

Result<std::vector<std::string>> DigestUsers::add(std::span<const NewDigestUser> users) {
  Array ids;
  Array names;
  Array passwords;
  Array ha1s;
  Array realms;
  for (const NewDigestUser& user : users) {
    ids.add(user.id);
    names.add(user.name);
    passwords.add(user.secret.password);
    ha1s.add(user.secret.ha1);
    realms.add(unless_empty(user.secret.realm));
  }
  CAPF_LET(const auto added, session_.all(kAdd, Parameters(ids, names, passwords, ha1s, realms), read_text));
  const std::set<std::string> fresh(added.begin(), added.end());
  std::vector<std::string> existing;
  for (const NewDigestUser& user : users) {
    if (!fresh.contains(user.name)) existing.push_back(user.name);
  }
  return existing;
}

Result<std::vector<std::string>> DigestUsers::existing(std::span<const std::string> names) {
  return session_.all(kExisting, Parameters(names), read_text);
}

Result<std::optional<DigestUser>> DigestUsers::find(const std::string& name) {
  return session_.first(kFind, Parameters(name), read_user);
}

Result<std::optional<DigestUser>> DigestUsers::lock(const std::string& name) {
  return session_.first(kLock, Parameters(name), read_user);
}

Result<std::optional<DigestUser>> DigestUsers::hold(const std::string& name) {
  return session_.first(kHold, Parameters(name), read_user);
}

Result<std::vector<DigestUser>> DigestUsers::list(const Page& page) {
  return session_.all(kList, Parameters(page.after, page.limit), read_user);
}

Result<DigestSecret> DigestUsers::secret(std::int64_t id) {
  return session_.value(kGetSecret, Parameters(id), read_secret);
}

Status DigestUsers::set_secret(std::int64_t id, const DigestSecret& secret) {
  return session_.execute(kSetSecret, Parameters(id, secret.password, secret.ha1, unless_empty(secret.realm)));
}

Status DigestUsers::remove(std::int64_t id) { return session_.execute(kRemove, Parameters(id)); }

Result<std::int64_t> DigestUsers::count_phones(std::int64_t id) {
  return session_.value(kCountPhones, Parameters(id), read_number);
}

Result<std::vector<std::string>> DigestUsers::phones_of(std::int64_t id, int most) {
  return session_.all(kFirstPhones, Parameters(id, most), read_text);
}

Result<PhoneDigest> DigestUsers::of_phone(std::int64_t phone_id) {
  CAPF_LET(auto digest, session_.first(kOfPhone, Parameters(phone_id), read_phone));
  return std::move(digest).value_or(PhoneDigest{});
}

Result<bool> DigestUsers::set_phone(std::int64_t phone_id, std::optional<std::int64_t> user_id) {
  if (user_id) return session_.changes(kSetPhone, Parameters(phone_id, *user_id));
  return session_.value(kUnsetPhone, Parameters(phone_id), read_boolean);
}

Status DigestUsers::log_in(std::int64_t phone_id, std::int64_t user_id) {
  return session_.execute(kLogIn, Parameters(phone_id, user_id));
}

Status DigestUsers::log_out(std::int64_t phone_id) { return session_.execute(kLogOut, Parameters(phone_id)); }

Result<std::vector<DigestAssignment>> DigestUsers::assignments(const DigestCursor& after, int limit) {
  return session_.all(kAssignments, Parameters(after.user_id, after.phone_id, limit), read_assignment);
}

Result<std::vector<EncryptedUser>> DigestUsers::lock_older(int generation, int limit) {
  return session_.all(kLockOlder, Parameters(generation, limit), read_encrypted);
}

Status DigestUsers::replace_secrets(std::span<const EncryptedUser> users) {
  Array ids;
  Array passwords;
  Array ha1s;
  for (const EncryptedUser& user : users) {
    ids.add(user.id);
    passwords.add(user.secret.password);
    ha1s.add(user.secret.ha1);
  }
  return session_.execute(kReplace, Parameters(ids, passwords, ha1s));
}

Result<std::optional<std::string>> DigestUsers::realm() { return session_.first(kRealm, Parameters(), read_text); }

Result<bool> DigestUsers::set_realm(const std::optional<std::string>& former, const std::string& realm) {
  return session_.changes(kSetRealm, Parameters(realm, former));
}

Result<std::int64_t> DigestUsers::count_of_other_realms(const std::string& realm) {
  return session_.value(kOtherRealms, Parameters(realm), read_number);
}

}  // namespace capf::storage
