#include "storage/trust_lists.h"

#include "storage/settings.h"

namespace capf::storage {
namespace {

std::string newest_of(const std::string& kind) {
  return "coalesce((select generation from trust_lists where kind = " + kind + " order by generation desc limit 1), 0)";
}

const Statement kState{"trust_lists_state",
                       "select signer, next_signer, released from trust_list_state where only_one"};
const Statement kLock{"trust_lists_lock", kState.text + " for update"};
const Statement kSetState{
    "trust_lists_set_state",
    "update trust_list_state set signer = $1::bytea, next_signer = $2::bytea, released = $3::boolean where only_one"};
const Statement kNewest{"trust_lists_newest", "select " + newest_of("$1::text")};
const Statement kFind{"trust_lists_find",
                      "select kind, generation, digest, octets, sha1, md5, signer, microseconds(made_at), made_by "
                      "from trust_lists where kind = $1::text and generation = $2::bigint and digest = $3::text"};
const Statement kList{
    "trust_lists_list",
    "select a.generation, b.sha1, b.md5, a.sha1, a.md5, a.signer, microseconds(a.made_at), a.made_by "
    "from trust_lists a join trust_lists b on b.kind = a.kind and b.generation = a.generation and b.digest = 'sha1' "
    "where a.kind = $1::text and a.generation > $2::bigint and a.digest = 'sha512' order by a.generation "
    "limit $3::int"};
const Statement kAdd{"trust_lists_add",
                     "insert into trust_lists (kind, generation, digest, octets, sha1, md5, signer, made_at, made_by) "
                     "values ($1::text, $2::bigint, $3::text, $4::bytea, $5::text, $6::text, $7::bytea, "
                     "$8::timestamptz, $9::text) on conflict do nothing"};
const Statement kForget{"trust_lists_forget",
                        "delete from trust_list_certificates where kind = $1::text and not sha256 = any ($2::bytea[])"};
const Statement kNote{"trust_lists_note",
                      "insert into trust_list_certificates (kind, sha256, since) select $1::text, c, $2::bigint "
                      "from unnest($3::bytea[]) c on conflict do nothing"};
const Statement kListed{"trust_lists_listed",
                        "select sha256, since from trust_list_certificates where kind = $1::text order by sha256"};
// As kFacts in storage/configurations.cc, which says why.
const Statement kOfPhones{
    "trust_lists_of_phones",
    "select a.place, p.model, coalesce(s.generation, " + newest_of("a.kind") + "), " + settings_lines("f.settings") +
        ", " + settings_lines("w.settings") +
        " from unnest((select $1::text[]), (select $2::text[])) with ordinality as a (device, kind, place) "
        "cross join lateral (select id, model, profile_id from phones where device = a.device and removed_at is null "
        "limit 1) p "
        "cross join lateral (select settings from profiles where id = p.profile_id limit 1) f "
        "left join lateral (select settings from phone_settings where phone_id = p.id limit 1) w on true "
        "left join lateral (select generation from phone_trust_lists where phone_id = p.id and kind = a.kind limit 1) "
        "s on true"};
const Statement kServe{"trust_lists_serve",
                       "insert into phone_trust_lists (phone_id, kind, generation) values ($1::bigint, $2::text, "
                       "$3::bigint) on conflict (phone_id, kind) do update set generation = excluded.generation"};
const Statement kServeNewest{"trust_lists_serve_newest",
                             "delete from phone_trust_lists where phone_id = $1::bigint and kind = $2::text"};
const Statement kOlder{"trust_lists_older",
                       "select distinct kind, generation from phone_trust_lists order by kind, generation"};
const Statement kServeAllNewest{
    "trust_lists_serve_all_newest",
    "with gone as (delete from phone_trust_lists where kind = $1::text and generation = $2::bigint returning phone_id) "
    "select p.device from gone g join phones p on p.id = g.phone_id order by p.device || ''"};

std::string fetches_text(const std::string& column) {
  return "select " + column + ", count(*) from phone_fetches where " + column + " is not null group by 1 order by 1";
}
const Statement kItlFetches{"trust_lists_itl_fetches", fetches_text("itl_generation")};
const Statement kCtlFetches{"trust_lists_ctl_fetches", fetches_text("ctl_generation")};

TrustListState read_state(Columns& columns) {
  TrustListState state;
  state.signer = columns.optional_digest();
  state.next_signer = columns.optional_digest();
  state.released = columns.boolean();
  return state;
}

PublishedList read(Columns& columns) {
  PublishedList list;
  list.kind = columns.word(parse_trust_list_kind);
  list.generation = columns.number();
  list.digest = columns.word(parse_list_digest);
  list.octets = columns.bytes();
  list.sha1 = columns.text();
  list.md5 = columns.text();
  list.signer = columns.digest();
  list.made_at = columns.time();
  list.made_by = columns.text();
  return list;
}

ListGeneration read_generation(Columns& columns) {
  ListGeneration generation;
  generation.generation = columns.number();
  generation.sha1_sha1 = columns.text();
  generation.sha1_md5 = columns.text();
  generation.sha512_sha1 = columns.text();
  generation.sha512_md5 = columns.text();
  generation.signer = columns.digest();
  generation.made_at = columns.time();
  generation.made_by = columns.text();
  return generation;
}

ListedSince read_listed(Columns& columns) {
  ListedSince listed;
  listed.sha256 = columns.digest();
  listed.generation = columns.number();
  return listed;
}

PhoneList read_phone(Columns& columns) {
  PhoneList phone;
  phone.model = columns.text();
  phone.generation = columns.number();
  phone.profile = read_settings(columns);
  phone.own = read_settings(columns);
  return phone;
}

OlderList read_older(Columns& columns) {
  OlderList older;
  older.kind = columns.word(parse_trust_list_kind);
  older.generation = columns.number();
  return older;
}

ListFetches read_fetches(Columns& columns) {
  ListFetches fetches;
  fetches.generation = columns.number();
  fetches.phones = columns.number();
  return fetches;
}

}  // namespace

Result<TrustListState> TrustLists::state() { return session_.value(kState, Parameters(), read_state); }

Result<TrustListState> TrustLists::lock() { return session_.value(kLock, Parameters(), read_state); }

Status TrustLists::set_state(const TrustListState& state) {
  return session_.execute(kSetState, Parameters(state.signer, state.next_signer, state.released));
}

Result<std::int64_t> TrustLists::newest(TrustListKind kind) {
  return session_.value(kNewest, Parameters(to_string(kind)), read_number);
}

Result<std::optional<PublishedList>> TrustLists::find(TrustListKind kind, std::int64_t generation, ListDigest digest) {
  return session_.first(kFind, Parameters(to_string(kind), generation, to_string(digest)), read);
}

Result<std::vector<ListGeneration>> TrustLists::list(TrustListKind kind, const Page& page) {
  return session_.all(kList, Parameters(to_string(kind), page.after, page.limit), read_generation);
}

Status TrustLists::add(const PublishedList& list) {
  CAPF_LET(const bool added,
           session_.changes(kAdd, Parameters(to_string(list.kind), list.generation, to_string(list.digest), list.octets,
                                             list.sha1, list.md5, list.signer, list.made_at, list.made_by)));
  if (!added) return fail(Reason::kChangedMeanwhile, "another server has published a trust list");
  return {};
}

Status TrustLists::note(TrustListKind kind, std::int64_t generation, std::span<const Sha256> certificates) {
  CAPF_TRY(session_.execute(kForget, Parameters(to_string(kind), certificates)));
  return session_.execute(kNote, Parameters(to_string(kind), generation, certificates));
}

Result<std::vector<ListedSince>> TrustLists::listed(TrustListKind kind) {
  return session_.all(kListed, Parameters(to_string(kind)), read_listed);
}

Result<std::vector<std::optional<PhoneList>>> TrustLists::of_phones(std::span<const PhoneListQuestion> asked) {
  Array devices;
  Array kinds;
  for (const PhoneListQuestion& question : asked) {
    devices.add(question.device);
    kinds.add(to_string(question.kind));
  }
  return session_.placed(kOfPhones, Parameters(devices, kinds), asked.size(), read_phone);
}

Status TrustLists::serve(std::int64_t phone_id, TrustListKind kind, std::optional<std::int64_t> generation) {
  if (!generation) return session_.execute(kServeNewest, Parameters(phone_id, to_string(kind)));
  return session_.execute(kServe, Parameters(phone_id, to_string(kind), *generation));
}

Result<std::vector<OlderList>> TrustLists::older() { return session_.all(kOlder, Parameters(), read_older); }

Result<std::vector<std::string>> TrustLists::serve_newest(const OlderList& in_place_of) {
  return session_.all(kServeAllNewest, Parameters(to_string(in_place_of.kind), in_place_of.generation), read_text);
}

Result<std::vector<ListFetches>> TrustLists::fetches(TrustListKind kind) {
  return session_.all(kind == TrustListKind::kItl ? kItlFetches : kCtlFetches, Parameters(), read_fetches);
}

}  // namespace capf::storage
