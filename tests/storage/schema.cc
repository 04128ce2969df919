#include <cstdlib>
#include <thread>

#include "capf/domain/audit_store.h"
#include "capf/domain/call_store.h"
#include "capf/domain/campaign_store.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/configuration_store.h"
#include "capf/domain/digest_store.h"
#include "capf/domain/operation_store.h"
#include "capf/domain/phone_store.h"
#include "capf/domain/profile_store.h"
#include "capf/domain/rounds.h"
#include "capf/domain/security_change_store.h"
#include "capf/domain/summary_store.h"
#include "capf/domain/trust_list_store.h"
#include "storage/conninfo.h"
#include "storage/migrate.h"
#include "tests/storage/samples.h"

namespace capf::test {
namespace {

using storage::check_conninfo;
using storage::check_schema;
using storage::migrate;
using storage::Migration;

constexpr Migration kFirst{1, "first", "aa",
                           "create table one (id int); grant select on schema_migrations to capf_server"};
constexpr Migration kSecond{2, "second", "bb", "create table two (id int)"};
constexpr Migration kEdited{1, "first", "ab", "create table one (id bigint)"};
constexpr Migration kBroken{2, "second", "bc", "create table two (id int); select 1 / 0"};

Reason reason_of(const Status& status) { return status ? Reason::kInternal : status.error().reason; }

TEST_CASE("a new database is migrated, an old one brought up to date, and one that is right left alone") {
  const FreshDatabase fresh(FreshDatabase::Schema::kNone);
  const std::string owner = fresh.conninfo("capf_owner");
  const std::vector<Migration> old{kFirst};
  const std::vector<Migration> now{kFirst, kSecond};
  CHECK_THAT(check_schema(owner, old).error().message, Catch::Contains("run 'capfd migrate'"));
  good(migrate(owner, old));
  good(check_schema(fresh.conninfo(), old));
  CHECK_THAT(check_schema(fresh.conninfo(), now).error().message, Catch::Contains("run 'capfd migrate'"));
  good(migrate(owner, now));
  good(migrate(owner, now));
  good(check_schema(fresh.conninfo(), now));
  CHECK(fresh.sql("select string_agg(version || name || sha256, ' ' order by version) from schema_migrations") ==
        "1firstaa 2secondbb");
}

TEST_CASE("an edited migration and a database that is ahead are refused with what to do") {
  const FreshDatabase fresh(FreshDatabase::Schema::kNone);
  const std::string owner = fresh.conninfo("capf_owner");
  good(migrate(owner, std::vector{kFirst, kSecond}));
  using Steps = std::span<const Migration>;
  for (const auto& check : {+[](const std::string&conninfo, Steps steps) { return migrate(conninfo, steps); },
                            +[](const std::string&conninfo, Steps steps) { return check_schema(conninfo, steps); }}) {
    const Status ahead = check(owner, std::vector{kFirst});
    CHECK(reason_of(ahead) == Reason::kSchemaMismatch);
    CHECK_THAT(ahead.error().message, Catch::Contains("update the program"));
    const Status edited = check(owner, std::vector{kEdited, kSecond});
    CHECK(reason_of(edited) == Reason::kSchemaMismatch);
    CHECK_THAT(edited.error().message, Catch::Contains("edited"));
  }
}

TEST_CASE("a migration that fails leaves nothing of itself, and those before it") {
  const FreshDatabase fresh(FreshDatabase::Schema::kNone);
  const std::string owner = fresh.conninfo("capf_owner");
  CHECK_FALSE(migrate(owner, std::vector{kFirst, kBroken}));
  CHECK(fresh.sql("select to_regclass('one') is not null and to_regclass('two') is null") == "t");
  good(migrate(owner, std::vector{kFirst, kSecond}));
}

TEST_CASE("several programs that migrate at once do it once") {
  const FreshDatabase fresh(FreshDatabase::Schema::kNone);
  std::atomic<int> done{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { done += migrate(fresh.conninfo("capf_owner")).has_value(); });
  for (std::thread& thread : threads) thread.join();
  CHECK(done == 4);
  good(check_schema(fresh.conninfo()));
}

TEST_CASE("the server's role cannot alter the schema, delete records or become the owner") {
  const FreshDatabase fresh(FreshDatabase::Schema::kNone);  // a copy would not have the database's own rights
  good(migrate(fresh.conninfo("capf_owner")));
  for (const char* text : {"create table mine (id int)",
                           "create temporary table mine (id int)",
                           "alter table phones add column x int",
                           "drop table phones",
                           "alter table audit_events disable trigger all",
                           "create schema mine",
                           "create or replace function refuse_change() returns trigger language sql return null",
                           "delete from phones",
                           "delete from operations",
                           "delete from certificates",
                           "delete from revocations",
                           "delete from public_keys",
                           "delete from administrators",
                           "truncate leases",
                           "update phones set device = 'SEP1'",
                           "update profiles set mode = 'encrypted' where id = 1",
                           "delete from profiles where id = 1",
                           "insert into site_security values (true)",
                           "delete from site_security",
                           "update operations set auth = 'null'",
                           "update operations set phone_id = 1",
                           "update operations set run = null",
                           "update certificates set der = ''",
                           "update administrators set role = 'admin'",
                           "update administrators set certificate_sha256 = sha256('')",
                           "update public_keys set owner = 'phone'",
                           "update trust_anchors set devices = '*'",
                           "update revocations set reason = 0",
                           "update totals set phones = 0",
                           "update trust_revision set revision = 0",
                           "insert into schema_migrations (version, name, sha256) values (99, '', '')",
                           "set role capf_owner"}) {
    INFO(text);
    CHECK_THROWS(fresh.sql(text, "capf_server"));
  }
}

// Ten thousand phones, each with an ended operation and its LSC; fifty have an open and overdue operation instead.
/// @param open the phones whose operation is open
void fill(const FreshDatabase& fresh, int open = 50) {
  fresh.sql("insert into phones (device, model) select 'SEP' || n, 'CP-7821' from generate_series(1, 10000) n");
  fresh.sql("insert into phone_tags select id, tag from phones, unnest(array['desk', 'hall']) tag");
  fresh.sql("insert into profiles (name, mode) values ('desks', 'encrypted')");
  fresh.sql(
      "insert into issuers values (1, 'CN=CAPF', sha256(''::bytea), '', '', now(), now() + interval '9 years', true, "
      "1)");
  // Not by way of pending: that would leave ten thousand dead entries in the indexes of open operations.
  fresh.sql(
      "alter table operations disable trigger operations_check; "
      "insert into operations (id, phone_id, kind, auth, key_order, rsa_bits, ec_bits, self_service, created_by, "
      "completes_by, authenticated_by, state, finished_at) select n, n, 'install', 'mic', 'rsa', 2048, 384, false, "
      "'a', now() - interval '1 day', 'mic', case when n > " +
      std::to_string(open) + " then 'succeeded' else 'pending' end, case when n > " + std::to_string(open) +
      " then now() - interval '9 days' end from generate_series(1, 10000) n; "
      "alter table operations enable trigger operations_check");
  fresh.sql(
      "insert into certificates (kind, sha256, serial, issuer_id, issuer, phone_id, operation_id, key_sha256, der, "
      "not_before, not_after, possession, shard, confirmed_at) select 'lsc', sha256(n::text::bytea), "
      "substr(sha256(n::text::bytea), 1, 16), 1, '', n, n, sha256(n::text::bytea), '0', now(), "
      "now() + interval '1 year', 'pkcs10', 0, now() from generate_series(1, 10000) n");
  fresh.sql(
      "insert into audit_events (actor_kind, actor, address, action, subject, operation_id, outcome, detail) "
      "select 'device', 'SEP' || n, '', 'operation.finish', 'SEP' || n, n, 'done', '' "
      "from generate_series(1, 10000) n");
  fresh.sql(
      "insert into digest_users (name, password) select 'user' || n, decode('01' || repeat('00', 49), 'hex') "
      "from generate_series(1, 10000) n");
  fresh.sql(
      "insert into phone_digest (phone_id, user_id) select p.id, u.id from phones p join digest_users u "
      "on u.name = 'user' || substr(p.device, 4)");
  fresh.sql(
      "insert into campaigns (name, state, auth, run, created_by) values ('all', 'running', 'lsc', "
      "decode(repeat('ab', 16), 'hex'), 'a'); insert into campaign_phones (campaign_id, phone_id, device, place) "
      "select 2, id, device, id from phones");
  fresh.sql(
      "insert into configurations (phone_id, source, imported_by) "
      "select id, decode('01' || repeat('00', 49), 'hex'), 'a' from phones where removed_at is null");
}

constexpr Page kPage{0, 10};

void look_at_phones(Transaction& tx) {
  const SelectedPhones found = good(tx.phones().select({}, {device("SEP5"), 10}));
  CHECK(good(tx.phones().find_all(found.ids)).size() == 10);
  CHECK(good(tx.phones().missing(std::vector{device("SEP777"), device("SEP0")})).size() == 1);
  CHECK_FALSE(good(tx.phones().find_other_case(device("sep_777"))));
  CHECK(good(tx.phones().find_other_case(device("sep777"))));
  const std::vector asked{device("sep777"), device("SEP778"), device("sep_777")};
  CHECK(good(tx.phones().find_other_cases(asked)).at(device("sep777")) == device("SEP777"));
  CHECK(good(tx.phones().find_all(asked)).size() == 1);
  CHECK(good(tx.phones().find(device("SEP777"))));
}

// Each of few phones, or in the order of names; of a time that many phones have, a page looks at kFewPhones names,
// which is all that this site has.
void look_at_selections(Transaction& tx) {
  const auto whole = [&](const PhoneSelection& selection) {
    CHECK(good(tx.phones().select(selection, {device("SEP5"), 100})).ids.size() == 100);
  };
  whole({.lscs = {LscStatus::kValid, LscStatus::kRevoked}});
  whole({.auths = {AuthMode::kMic}});
  whole({.operations = {OperationStatus::kSucceeded, OperationStatus::kFailed}});
  whole({.tags = {"desk", "hall"}});
  whole({.models = {good(Pattern::parse("CP-7821"))}});
  whole({.blocked = false});
  CHECK(good(tx.phones().select({.operations = {OperationStatus::kNone}}, {})).ids.empty());
  for (const LscStatus status : {LscStatus::kExpired, LscStatus::kRevoked, LscStatus::kHeld})
    CHECK(good(tx.phones().select({.lscs = {status}}, {})).ids.empty());
  CHECK(good(tx.phones().select({.devices = {device("SEP777")}}, {})).ids.size() == 1);
  CHECK(good(tx.phones().select({.patterns = {good(Pattern::parse("SEP999*"))}}, {})).ids.size() == 11);
  CHECK(good(tx.phones().select({.tags = {"lobby"}}, {})).ids.empty());
  CHECK(good(tx.phones().select({.models = {good(Pattern::parse("CP-8861"))}}, {})).ids.empty());
  CHECK(good(tx.phones().select({.expires_before = tx.now()}, {})).ids.empty());
  CHECK(good(tx.phones().select({.issuers = {2}}, {})).ids.empty());
  CHECK(good(tx.phones().select({.issuer_expires_before = tx.now()}, {})).ids.empty());
  CHECK(good(tx.phones().select({.operations = {OperationStatus::kPending}}, {})).ids.size() == 50);
  CHECK(good(tx.phones().select({.operations = {OperationStatus::kOverdue}}, {})).ids.size() == 50);
  CHECK(good(tx.phones().select({.operations = {OperationStatus::kFailed}}, {})).ids.empty());
  CHECK(good(tx.phones().select({.reasons = {Reason::kMicChanged}}, {})).ids.empty());
  CHECK(good(tx.phones().select({.tried = true, .refusals = {Reason::kMicChanged}}, {})).ids.empty());
  CHECK(good(tx.phones().select({.blocked = true}, {})).ids.empty());
  CHECK(good(tx.phones().select({.locked = true}, {})).ids.empty());
  CHECK(good(tx.phones().select({.not_seen_since = tx.now() - std::chrono::hours(1)}, {})).ids.empty());
  CHECK(good(tx.phones().select({.auths = {AuthMode::kMic}}, {})).ids.size() == 100);
  CHECK(good(tx.phones().select({.profiles = {"desks"}}, {})).ids.empty());
  CHECK(good(tx.phones().select({.modes = {DeviceMode::kEncrypted}}, {})).ids.empty());
  CHECK(good(tx.phones().select({.effective_modes = {DeviceMode::kEncrypted}}, {})).ids.empty());
  CHECK(good(tx.phones().select({.effective_modes = {DeviceMode::kNonsecure}}, {})).ids.size() == 100);
  const std::vector<std::int64_t> ids{7, 8, 9};
  CHECK(good(tx.phones().still_selected({.tags = {"lobby"}, .lscs = {LscStatus::kValid}}, ids)).empty());
}

// A pair of which one property is rare: its phones alone are looked at.
void look_at_pairs(Transaction& tx) {
  const TimePoint later = tx.now() + std::chrono::hours(24 * 366);
  const auto none = [&](const PhoneSelection& selection) {
    CHECK(good(tx.phones().select(selection, {})).ids.empty());
  };
  none({.lscs = {LscStatus::kHeld}, .expires_before = later});
  none({.models = {good(Pattern::parse("CP-8861"))}, .lscs = {LscStatus::kNone}});
  none({.operations = {OperationStatus::kFailed}, .reasons = {Reason::kMicChanged}});
  none({.tags = {"lobby"}, .lscs = {LscStatus::kRevoked}});
  none({.expires_before = later, .issuers = {2}});
}

// A profile's phones are found in its index, also when it is removed.
void look_at_profiles(Transaction& tx) {
  const std::int64_t desks = good(tx.profiles().find("desks"))->id;
  CHECK(good(tx.profiles().list({0, 10})).size() == 2);
  CHECK(good(tx.profiles().count(desks)) == 0);
  CHECK(good(tx.profiles().alike(desks)).empty());
  CHECK(good(tx.profiles().alike(std::nullopt)).empty());
  CHECK(good(tx.profiles().count_with_own(desks, std::vector<std::string>{"auth"})) == 0);
  CHECK(good(tx.profiles().phones(std::vector<std::int64_t>{7, 8, 9}, true)).size() == 3);
}

void change_profiles(Transaction& tx) {
  const std::vector<std::int64_t> ids{7, 8, 9};
  const std::int64_t desks = good(tx.profiles().find("desks"))->id;
  CHECK(good(tx.profiles().apply(ids, desks)) == ids);
  good(tx.profiles().set_own(std::vector<std::pair<std::int64_t, Settings>>{{7, {{"auth", "mic"}}}, {8, {}}}));
  CHECK(good(tx.profiles().apply(ids, kFirstProfile)) == ids);
  good(tx.profiles().remove(desks));
}

void change_some(Transaction& tx) {
  CHECK(good(tx.security_changes().tell_ends(10)) == 0);
  CHECK(good(tx.security_changes().forget(std::chrono::hours(1), 10)) == 0);
  CHECK(good(tx.operations().lock_overdue(tx.now(), 10)).size() == 10);
  const std::vector<std::int64_t> ids{7, 8, 9};
  good(tx.phones().lock_all(ids));
  CHECK(good(tx.phones().change(ids, {.description = "here", .added_tags = {"a"}, .removed_tags = {"b"}})) == ids);
  const std::vector<ImportedPhone> phones{{device("SEP777"), "CP-8861", "here", std::set<std::string>{"a"}},
                                          {device("SEP-new"), "", {}, std::set<std::string>{"b"}}};
  CHECK(good(tx.phones().add_missing(phones)) == std::set{device("SEP-new")});
  good(tx.phones().update(phones));
  CHECK(good(tx.phones().find(device("SEP777")))->tags == std::vector<std::string>{"a"});
}

void look_at_operations(Transaction& tx) {
  CHECK(good(tx.operations().list({.open = true}, kPage)).size() == 10);
  CHECK(good(tx.operations().list({.overdue = true}, kPage)).size() == 10);
  CHECK(good(tx.operations().list({.device = device("SEP9999")}, kPage)).size() == 1);
  for (const OperationState state : kOperationStates) good(tx.operations().list({.state = state}, kPage));
  for (const OperationKind kind : kOperationKinds) good(tx.operations().list({.kind = kind}, kPage));
  CHECK(good(tx.operations().find_last(700))->id == 700);
  const std::vector<std::int64_t> some{699, 700};
  CHECK(good(tx.operations().find_all(some)).size() == 2);
  CHECK(good(tx.operations().standings(some, Bytes(16, 1))).size() == 2);
}

void look_at_certificates(Transaction& tx) {
  CHECK(good(tx.certificates().list({.device = device("SEP9999")}, kPage)).size() == 1);
  for (const CertificateKind kind : {CertificateKind::kLsc, CertificateKind::kHandedOver})
    good(tx.certificates().list({.kind = kind}, kPage));
  for (const CertificateState state : kCertificateStates) good(tx.certificates().list({.state = state}, kPage));
  CHECK(good(tx.certificates().find_serial(Bytes{1, 2})).empty());
  CHECK(good(tx.certificates().find_lsc(digest("700"))));
  CHECK(good(tx.certificates().live(700)).size() == 1);
  const std::vector<std::int64_t> phones{700, 701};
  CHECK(good(tx.certificates().phones_with_lsc(phones)).size() == 2);
  CHECK(good(tx.certificates().selected({}, phones)).size() == 2);
  CHECK(good(tx.certificates().handed_over(phones)).empty());
  const std::vector<SerialNumber> serials{SerialNumber(BytesView(digest("700")).first(16))};
  CHECK(good(tx.certificates().statuses(1, serials)).size() == 1);
}

void look_at_calls(Transaction& tx) {
  CallParty own{PartyKind::kDevice, "SEP700"};
  own.observed.certificate = digest("700");
  const std::vector<CallParty> parties{own,
                                       {PartyKind::kDevice, "SEP777"},
                                       {PartyKind::kDevice, "SEP-nobody"},
                                       {PartyKind::kLine, "1001"},
                                       {PartyKind::kTrunk, "provider"}};
  // A session plans for its first five looks anew.
  for (int i = 0; i < 7; ++i) CHECK(good(tx.calls().look(parties)).size() == 5);
}

void look_at_events(Transaction& tx) {
  CHECK(good(tx.audit().list({.subject = "SEP9999"}, kPage)).size() == 1);
  good(tx.audit().list({.subject = "SEP9999", .of_phones = true}, kPage));
  CHECK(good(tx.audit().list({.actor = "SEP9999"}, kPage)).size() == 1);
  CHECK(good(tx.audit().list({.action = "phone"}, kPage)).empty());
  CHECK(good(tx.audit().list({.since = tx.now() + std::chrono::hours(24)}, kPage)).empty());
  CHECK(good(tx.audit().list({.until = tx.now() - std::chrono::hours(24 * 365)}, {.newest = true})).empty());
  CHECK_FALSE(good(tx.audit().list({}, {.newest = true})).empty());
  CHECK(good(tx.audit().changes(good(tx.audit().end()), 10)).empty());
  CHECK(good(tx.security_changes().list(good(tx.audit().end()), 10)).empty());
  CHECK(good(tx.summary().count_modes({}, 10)).groups.empty());
}

/// Enrols a phone that has an LSC: each form of a look, and of a write.
void enrol(Database& database, const std::string& name) {
  Rounds& rounds = database.rounds();
  Enquiry enquiry{.device = device(name)};
  Dossier dossier;
  const auto look = [&] { dossier = good(rounds.look(enquiry, Share::kRpc, {})); };
  const auto write = [&](const std::vector<Write>& writes) {
    look();
    const Basis basis{.phone_id = dossier.phone->id,
                      .revision = dossier.revision,
                      .postmaster_start = dossier.postmaster_start,
                      .looked_at = dossier.now,
                      .active_issuer = dossier.active_issuer};
    good(rounds.write({basis, writes}, Share::kRpc, {}));
  };
  look();
  REQUIRE(dossier.live.size() == 1);
  const Phone phone = *dossier.phone;
  const Operation operation = *dossier.open;
  const Certificate old = dossier.live.front();
  const KeyDigests key{digest("key of " + name), digest("modulus of " + name)};
  enquiry.claims = {{key, KeyOwner::kPhone}};
  look();
  enquiry.certificates = {old.sha256};
  enquiry.keys = {old.key_sha256};
  look();
  enquiry.claims.clear();
  look();
  Certificate next = old;
  next.operation_id = operation.id;
  next.sha256 = digest("next of " + name);
  next.key_sha256 = key.sha256;
  next.serial = Bytes(next.sha256.begin(), next.sha256.begin() + 16);
  const AdvanceOperation advance{operation.id, OperationState::kIssued, CredentialKind::kMic, std::nullopt, false};
  write({advance, ClaimKey{key, KeyOwner::kPhone}, AddCertificate{next}, ForgiveStrings{}});
  REQUIRE(dossier.live.size() == 1);
  look();
  REQUIRE(dossier.live.size() == 2);
  const std::int64_t issued = dossier.live.back().id;
  write({advance, ClaimKey{key, KeyOwner::kPhone}, SupersedeCertificate{old.id}});
  write({ConfirmCertificate{issued}, ForgiveStrings{}});
  Attempt attempt;
  attempt.transport = "grpc";
  attempt.reason = Reason::kPhoneRefused;
  write({EndOperation{operation.id, OperationState::kFailed, Reason::kPhoneRefused, ""}, SetModel{"CP-8865"},
         RecordAttempt{attempt}});
}

// Entries that were read of indexes, because one can be read from end to end as a table can.
void look_at_digest(Transaction& tx) {
  CHECK(good(tx.digest().list({5000, 100})).size() == 100);
  CHECK(good(tx.digest().assignments({5000, 0}, 100)).size() == 100);
  const DigestUser user = *good(tx.digest().find("user7700"));
  CHECK(good(tx.digest().count_phones(user.id)) == 1);
  CHECK(good(tx.digest().phones_of(user.id, 100)) == std::vector<std::string>{"SEP7700"});
  CHECK(good(tx.digest().of_phone(good(tx.phones().find(device("SEP7701")))->id)).user == "user7701");
  CHECK(good(tx.digest().count_of_other_realms("ccmsipline")) == 0);
}

void look_at_files(Transaction& tx) {
  const std::vector<ConfigurationQuestion> asked{{device("SEP-nobody")}, {device("SEP7700")}, {device("SEP7701")}};
  const auto all = good(tx.configurations().facts(asked));
  REQUIRE(all.size() == asked.size());
  CHECK_FALSE(all[0]);
  const auto& facts = all[1];
  REQUIRE(facts);
  CHECK(facts->device.text() == "SEP7700");
  CHECK(all[2]);
  CHECK(facts->source.source->size() == 50);
  CHECK(good(tx.configurations().of_phones(std::vector{facts->phone_id})).size() == 1);
  CHECK_FALSE(good(tx.configurations().of_site(ConfigurationKind::kDefault)));
  const std::vector<PhoneListQuestion> lists{{device("SEP-nobody"), TrustListKind::kCtl},
                                             {device("SEP7700"), TrustListKind::kItl}};
  const auto listed = good(tx.trust_lists().of_phones(lists));
  REQUIRE(listed.size() == lists.size());
  CHECK_FALSE(listed[0]);
  CHECK(listed[1]);
}

void look_at_campaigns(Transaction& tx) {
  const std::vector<std::int64_t> ids{7, 8, 9};
  CHECK(good(tx.campaigns().list(kPage)).size() == 2);
  CHECK(good(tx.campaigns().under_way(10)).size() == 2);
  CHECK(good(tx.campaigns().to_clean(std::chrono::hours(1), std::chrono::hours(1))).empty());
  CHECK(good(tx.campaigns().figures(2, std::nullopt)).size() == 1);
  CHECK(good(tx.campaigns().taken(3, ids, 10)).size() == 3);
  CHECK(good(tx.campaigns().waiting(2, kPlaces, 10)).size() == 10);
  CHECK(good(tx.campaigns().released(2, 0, 10)).empty());
  CHECK(good(tx.campaigns().looks(10)).empty());
  CHECK(good(tx.campaigns().renewals(ids)).size() == 3);
  CHECK(good(tx.phones().select({.renewals = {CampaignPhoneState::kLate}}, {})).ids.empty());
}

void change_campaigns(Transaction& tx) {
  const Campaign all = *good(tx.campaigns().lock(2));
  good(tx.campaigns().release(all, {{7, 8, 9}, {1, 2, 3}}, tx.now() - std::chrono::seconds(1)));
  good(tx.campaigns().release(all, {{10}, {4}}, tx.now() + std::chrono::hours(1)));
  CHECK(good(tx.campaigns().mark_late(10)) == 0);  // they are late already
  const std::vector<std::int64_t> ids{7, 8};
  good(tx.campaigns().end(all, ids, CampaignPhoneState::kSkipped, Reason::kDeviceBlocked));
  CHECK(good(tx.campaigns().take_ends(10)) == 0);
  CHECK(good(tx.campaigns().released(2, 0, 10)).size() == 2);
  CHECK(good(tx.campaigns().withdraw(2, 10)) == 10);
  CHECK(good(tx.campaigns().drop(2, 10)) == 10);
  const auto phones = good(tx.campaigns().renewals(std::vector<std::int64_t>{777}));
  good(tx.campaigns().plan(phones, std::vector{RenewalTimes{tx.now(), tx.now()}}));
  good(tx.campaigns().set_looks(std::vector<std::pair<std::int64_t, std::optional<TimePoint>>>{{777, tx.now()}}));
  CHECK(good(tx.campaigns().looks(10)).size() == 1);
}

const std::string kGrowing =
    "('phones', 'operations', 'certificates', 'phone_operations', 'phone_lscs', 'phone_sightings', 'phone_tags', "
    "'digest_users', 'phone_digest', 'configurations', 'campaign_phones')";
const std::string kEntries =
    "select coalesce(sum(idx_tup_read), 0) from pg_stat_user_indexes where relname in " + kGrowing;
constexpr int kFewEntries = 5'000;  ///< half of a table

/// A pair is two properties, each of which is counted up to kFewPhones: to the end, of those that this site has.
void look_at_pairs_of(const FreshDatabase& fresh) {
  const std::string before = fresh.statistics(kEntries);
  good(fresh.open(1)->read([](Transaction& tx) -> Status {
    look_at_pairs(tx);
    return {};
  }));
  CHECK(std::stoll(fresh.statistics(kEntries)) - std::stoll(before) < 100'000);
}

TEST_CASE("no list, no summary and no enrolment reads a table that grows from one end to the other") {
  const FreshDatabase fresh;
  fill(fresh);
  fresh.sql("vacuum analyze", "postgres");
  const std::string scans =
      "select coalesce(sum(seq_scan), 0) from pg_stat_user_tables "
      "where relname = 'audit_events' or relname in " +
      kGrowing;
  const std::string before = fresh.statistics(scans);
  const std::string entries_before = fresh.statistics(kEntries);
  {
    const auto database = fresh.open(1);
    good(database->read([](Transaction& tx) -> Status {
      look_at_phones(tx);
      look_at_selections(tx);
      look_at_profiles(tx);
      look_at_operations(tx);
      look_at_certificates(tx);
      look_at_digest(tx);
      look_at_files(tx);
      look_at_calls(tx);
      look_at_events(tx);
      look_at_campaigns(tx);
      CHECK(good(tx.certificates().list({.expires_before = tx.now() + std::chrono::hours(24)}, kPage)).empty());
      CHECK(good(tx.summary().summary({})).phones == 10000);
      return {};
    }));
    in(*database, change_some);
    in(*database, change_profiles);
    in(*database, change_campaigns);
    for (const char* name : {"SEP1", "SEP2", "SEP3"}) enrol(*database, name);
  }
  const std::string entries = fresh.statistics(kEntries);
  CHECK(std::stoll(entries) - std::stoll(entries_before) < kFewEntries);
  look_at_pairs_of(fresh);
  CHECK(fresh.statistics(scans) == before);
}

TEST_CASE("nor does one with the statistics of a site that was empty") {
  const FreshDatabase fresh;
  for (const char* table : {"phones", "operations", "certificates", "phone_operations", "phone_lscs", "phone_sightings",
                            "phone_tags", "digest_users", "phone_digest", "configurations"}) {
    fresh.sql("alter table " + std::string(table) + " set (autovacuum_enabled = off)");
    fresh.sql("analyze " + std::string(table));
  }
  fill(fresh);
  // The first look marks the entries of the rows that filling has changed.
  good(fresh.open(1)->read([](Transaction& tx) -> Status {
    look_at_selections(tx);
    return {};
  }));
  const std::string before = fresh.statistics(kEntries);
  {
    const auto database = fresh.open(1);
    good(database->read([](Transaction& tx) -> Status {
      look_at_phones(tx);
      look_at_selections(tx);
      look_at_profiles(tx);
      look_at_operations(tx);
      look_at_certificates(tx);
      look_at_digest(tx);
      look_at_files(tx);
      look_at_calls(tx);
      CHECK(good(tx.summary().summary({})).phones == 10000);
      return {};
    }));
    in(*database, change_some);
    in(*database, change_profiles);
    for (const char* name : {"SEP1", "SEP2", "SEP3"}) enrol(*database, name);
  }
  CHECK(std::stoll(fresh.statistics(kEntries)) - std::stoll(before) < kFewEntries);
  look_at_pairs_of(fresh);
}

TEST_CASE("nor where all phones were scheduled for since, as on the first day of a site") {
  const FreshDatabase fresh;
  for (const char* table : {"phones", "operations", "certificates", "phone_operations", "phone_lscs"}) {
    fresh.sql("alter table " + std::string(table) + " set (autovacuum_enabled = off)");
    fresh.sql("analyze " + std::string(table));
  }
  fill(fresh, 10000);
  const std::string before = fresh.statistics(kEntries);
  {
    const auto database = fresh.open(1);
    in(*database, [](Transaction& tx) {
      const std::vector<std::int64_t> some{7, 8, 9};
      CHECK(good(tx.profiles().phones(some, true)).size() == 3);
      CHECK(good(tx.operations().find_open(7)));
      CHECK(good(tx.operations().standings(some, Bytes(16, 1))).size() == 3);
      look_at_files(tx);
      look_at_calls(tx);
    });
    in(*database, change_profiles);
    for (const char* name : {"SEP1", "SEP2", "SEP3"}) enrol(*database, name);
  }
  CHECK(std::stoll(fresh.statistics(kEntries)) - std::stoll(before) < kFewEntries);
}

TEST_CASE("tables that a campaign changes are vacuumed and analyzed when a fiftieth of their rows has changed") {
  const FreshDatabase fresh;
  CHECK(fresh.sql("select string_agg(relname, ' ' order by relname) from pg_class where reloptions @> array["
                  "'autovacuum_vacuum_scale_factor=0.02', 'autovacuum_analyze_scale_factor=0.02']") ==
        "campaign_phones certificates operations phone_lscs");
}

TEST_CASE("a database over TCP needs sslmode=verify-full, a socket does not") {
  const char* host = std::getenv("PGHOST");
  REQUIRE(host == nullptr);
  for (const char* safe : {"host=/run/postgresql dbname=capf", "dbname=capf", "", "host=@abstract",
                           "host=db.example.net sslmode=verify-full", "host=a,b sslmode=verify-full",
                           "postgresql://capf_server@db.example.net/capf?sslmode=verify-full", "host=/a,/b user=x"}) {
    INFO(safe);
    CHECK(check_conninfo(safe));
  }
  for (const char* unsafe :
       {"host=localhost", "host=127.0.0.1 sslmode=require", "hostaddr=::1", "host=/run,db.example.net",
        "host=db sslmode=verify-ca", "host=/run hostaddr=192.0.2.1", "host=db sslmode=verify-full gssencmode=prefer",
        "postgresql://capf_server:secret@db.example.net/capf"}) {
    INFO(unsafe);
    CHECK(reason_of(check_conninfo(unsafe)) == Reason::kInsecureDatabase);
  }
  ::setenv("PGHOST", "db.example.net", 1);
  CHECK(reason_of(check_conninfo("dbname=capf")) == Reason::kInsecureDatabase);
  ::unsetenv("PGHOST");
}

TEST_CASE("a connection string that cannot be read is not repeated") {
  for (const char* text : {"password=hunter2 nonsense", "host='hunter2", "hunter2=1"}) {
    const Status status = check_conninfo(text);
    REQUIRE_FALSE(status);
    CHECK(status.error().reason == Reason::kInvalidConfiguration);
    CHECK_THAT(status.error().message + status.error().cause, !Catch::Contains("hunter2"));
  }
  CHECK(reason_of(check_conninfo("service=capf")) == Reason::kInvalidConfiguration);
  CHECK(reason_of(check_conninfo(std::string("host=/run\0", 10))) == Reason::kInvalidConfiguration);
}

}  // namespace
}  // namespace capf::test
