#include "capf/ca/digest.h"

#include <map>
#include <set>
#include <thread>

#include <botan/system_rng.h>
#include <catch2/catch.hpp>

#include "capf/domain/digest_store.h"
#include "capf/domain/secrets_key_store.h"
#include "capf/domain/server_store.h"
#include "capf/service/digest_users.h"
#include "capf/service/secrets.h"
#include "tests/support/expect.h"
#include "tests/support/site.h"

// Digest users, their phones, and the secrets of both in the database.

using namespace capf;
using namespace capf::test;

namespace {

const Actor kSystem{ActorKind::kSystem, "test", ""};

service::DigestPassword user(const std::string& name, std::string_view password = "s3cret-9Qx!") {
  return {name, Secret(password)};
}

template <class T>
Reason reason(const Result<T>& result) {
  REQUIRE_FALSE(result);
  return result.error().reason;
}

void add(Site& site, const std::string& name, std::string_view password = "s3cret-9Qx!", bool hash_only = false) {
  must(site.digest_users.add(site.administrator, {user(name, password)}, hash_only));
}

std::string revealed(Site& site, const std::string& name) {
  return std::string(must(site.digest_users.reveal(site.administrator, name)).text());
}

PhoneDigest of(Site& site, const DeviceName& device) { return must(site.phones.show(device)).digest; }

/// All rows of the export, by user and device.
std::map<std::pair<std::string, std::string>, service::DigestExportRow> exported(Site& site) {
  std::map<std::pair<std::string, std::string>, service::DigestExportRow> rows;
  for (std::optional<DigestCursor> at = DigestCursor{}; at;) {
    auto page = must(site.digest_users.export_page(*at));
    for (service::DigestExportRow& row : page.rows) {
      const auto key = std::pair(row.user, row.device);
      const bool added = rows.emplace(key, std::move(row)).second;
      REQUIRE(added);
    }
    at = page.next;
  }
  return rows;
}

/// The site's vault with a key of another generation, on record but not active.
void add_generation(Site& site, int generation) {
  const Secret key = ca::generate_secrets_key(Botan::system_rng());
  must(site.vault().add(generation, key));
  must(in_write(site.database(), [&](Transaction& tx) -> Status {
    CAPF_TRY(tx.secrets_keys().add({generation, *ca::check_value_of(key), false}));
    return {};
  }));
}

}  // namespace

TEST_CASE("a password is kept encrypted, a generated one is given once, and revealing it is on record") {
  Site site;
  const auto generated = must(site.digest_users.add(site.administrator, {user("4711"), user("4712", "")}, false));
  REQUIRE(generated.size() == 1);
  CHECK(generated.front().name == "4712");
  CHECK(revealed(site, "4711") == "s3cret-9Qx!");
  CHECK(revealed(site, "4712") == generated.front().password.text());
  CHECK(site.value("select count(*) from digest_users where position('s3cret'::bytea in password) > 0") == "0");
  CHECK(site.value("select count(*) from audit_events where action = 'digest_user.reveal'") == "2");
  const Secret next = must(site.digest_users.set_password(site.administrator, user("4711", ""), false));
  CHECK(next.view().size() == 24);
  CHECK(revealed(site, "4711") == next.text());
  CHECK(must(site.digest_users.set_password(site.administrator, user("4711", "another one"), false)).empty());
  CHECK(revealed(site, "4711") == "another one");
}

TEST_CASE("digest users are added all or none, and each name once") {
  Site site;
  add(site, "b");
  CHECK(reason(site.digest_users.add(site.administrator, {user("a"), user("b"), user("c")}, false)) ==
        Reason::kDigestUserExists);
  CHECK(reason(site.digest_users.add(site.administrator, {user("a"), user("a")}, false)) == Reason::kInvalidRequest);
  CHECK(reason(site.digest_users.add(site.administrator, {user("a"), user("x:y")}, false)) ==
        Reason::kInvalidDigestUser);
  CHECK(reason(site.digest_users.add(site.administrator, {user("a"), user("c", std::string(31, 'x'))}, false)) ==
        Reason::kInvalidPassword);
  CHECK(reason(site.digest_users.add(site.administrator, {}, false)) == Reason::kInvalidRequest);
  CHECK(site.value("select string_agg(name, ' ') from digest_users") == "b");
  CHECK(reason(site.digest_users.set_password(site.administrator, user("a"), false)) == Reason::kUnknownDigestUser);
  CHECK(reason(site.digest_users.show("a")) == Reason::kUnknownDigestUser);
  CHECK(reason(site.digest_users.remove(site.administrator, "a")) == Reason::kUnknownDigestUser);
}

TEST_CASE("what is in the way of new digest users is told for all of them, and nothing is added") {
  Site site;
  must(site.digest_users.add(site.administrator, {{"4711", Secret()}, {"4713", Secret()}}, false));
  const auto problems = must(site.digest_users.check({"4713", "4714", "a:b", "4711", "4714", ""}));
  std::string text;
  for (const service::DigestProblem& each : problems) {
    text += each.name + " " + std::string(to_string(each.reason)) + "; ";
  }
  CHECK(text ==
        "4713 DIGEST_USER_EXISTS; a:b INVALID_DIGEST_USER; 4711 DIGEST_USER_EXISTS; 4714 INVALID_REQUEST; "
        " INVALID_DIGEST_USER; ");
  CHECK(must(site.digest_users.check({"4714"})).empty());
  CHECK(refused(site.digest_users.check({})) == Reason::kInvalidRequest);
  CHECK(refused(site.digest_users.check(std::vector<std::string>(501, "x"))) == Reason::kInvalidRequest);
  CHECK(site.value("select count(*) from digest_users") == "2");
}

TEST_CASE("of a hash-only user the HA1s of the realm are kept, and no password") {
  Site site;
  add(site, "4711", "s3cret-9Qx!", true);
  CHECK(reason(site.digest_users.reveal(site.administrator, "4711")) == Reason::kPasswordNotKept);
  CHECK(must(site.digest_users.show("4711")).user.realm == "ccmsipline");
  add(site, "4712");
  const auto rows = exported(site);
  // By openssl, in shared vectors: 4711, ccmsipline, s3cret-9Qx!
  CHECK(rows.at({"4711", ""}).ha1.md5.text() == "59800db8f19da810d26a4123299d1478");
  CHECK(rows.at({"4711", ""}).ha1.sha256.text() == "5db1bb40306685e1e0921ef6fef4a782a92a7bce1516eae7eba37a220b87e1ea");
  CHECK(rows.at({"4711", ""}).ha1.sha512_256.text() ==
        "720b83001383c174bf9123ffb08be42056492193fe27a4705b2b6744f41864d1");
  const Ha1 of_password = ca::make_ha1("4712", "ccmsipline", Secret(std::string_view("s3cret-9Qx!")));
  CHECK(rows.at({"4712", ""}).ha1.md5.text() == of_password.md5.text());
  must(site.digest_users.set_password(site.administrator, user("4711", "another one"), false));
  CHECK(revealed(site, "4711") == "another one");
  CHECK(must(site.digest_users.show("4711")).user.realm.empty());
}

TEST_CASE("a phone has its digest user, and who is logged in comes first") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const DeviceName other = site.add_phone("SEP2");
  for (const char* name : {"4711", "4712", "4713"}) add(site, name);
  must(site.digest_users.set_phone(site.administrator, device, "4711"));
  must(site.digest_users.set_phone(site.administrator, other, "4711"));
  CHECK(of(site, device).user == "4711");
  CHECK(must(site.digest_users.log_in(site.administrator, device, "4712")).empty());
  CHECK(must(site.digest_users.log_in(site.administrator, device, "4713")) == "4712");
  CHECK(of(site, device).user == "4711");
  CHECK(of(site, device).login == "4713");
  CHECK(of(site, device).login_at);
  const auto rows = exported(site);
  CHECK(rows.size() == 3);
  CHECK(rows.contains({"4711", "SEP2"}));
  CHECK(rows.contains({"4712", ""}));
  CHECK(rows.contains({"4713", "SEP1"}));
  const auto view = must(site.digest_users.show("4711"));
  CHECK(view.phones == 2);
  CHECK(view.devices == std::vector<std::string>{"SEP1", "SEP2"});
  CHECK(must(site.digest_users.log_out(site.administrator, device)) == "4713");
  CHECK(must(site.digest_users.log_out(site.administrator, device)).empty());
  CHECK(of(site, device).login.empty());
  CHECK(of(site, device).user == "4711");
  must(site.digest_users.set_phone(site.administrator, device, std::nullopt));
  CHECK(of(site, device).user.empty());
  CHECK(site.value("select count(*) from phone_digest") == "1");
}

TEST_CASE("who is logged in on a phone without a digest user leaves nothing behind") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  add(site, "4711");
  must(site.digest_users.log_in(site.administrator, device, "4711"));
  must(site.digest_users.set_phone(site.administrator, device, std::nullopt));
  CHECK(of(site, device).login == "4711");
  must(site.digest_users.log_out(site.administrator, device));
  CHECK(site.value("select count(*) from phone_digest") == "0");
  CHECK(reason(site.digest_users.log_in(site.administrator, device, "nobody")) == Reason::kUnknownDigestUser);
  const DeviceName unknown = must(DeviceName::parse("SEP9"));
  CHECK(reason(site.digest_users.log_in(site.administrator, unknown, "4711")) == Reason::kUnknownDevice);
  CHECK(reason(site.digest_users.set_phone(site.administrator, device, "nobody")) == Reason::kUnknownDigestUser);
}

TEST_CASE("a digest user is removed when no phone has it, and a removed phone has none") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const DeviceName other = site.add_phone("SEP2");
  add(site, "4711");
  must(site.digest_users.set_phone(site.administrator, device, "4711"));
  must(site.digest_users.log_in(site.administrator, other, "4711"));
  const auto refused = site.digest_users.remove(site.administrator, "4711");
  REQUIRE(reason(refused) == Reason::kDigestUserInUse);
  CHECK_THAT(refused.error().message, Catch::Contains("2 phones: SEP1, SEP2"));
  must(site.phones.remove(site.administrator, device));
  must(site.digest_users.log_out(site.administrator, other));
  must(site.digest_users.remove(site.administrator, "4711"));
  site.add_phone("SEP1");
  CHECK(of(site, device).user.empty());
}

TEST_CASE("a secret that SQL copies to another row, or changes, is refused with its user's name") {
  Site site;
  add(site, "4711");
  add(site, "4712", "another secret");
  site.sql(
      "update digest_users set password = (select password from digest_users where name = '4712') where name = '4711'");
  CHECK(reason(site.digest_users.reveal(site.administrator, "4711")) == Reason::kSecretBroken);
  CHECK(revealed(site, "4712") == "another secret");
  const auto page = site.digest_users.export_page({});
  REQUIRE(reason(page) == Reason::kSecretBroken);
  CHECK_THAT(page.error().message, Catch::Contains("4711"));
  CHECK_THAT(page.error().message + page.error().cause, !Catch::Contains("secret-"));
}

TEST_CASE("pages of the export meet every user and phone once") {
  Site site;
  const auto devices = site.add_phones(700);
  std::vector<service::DigestPassword> users;
  for (int i = 0; i < 400; ++i) users.push_back(user("user" + std::to_string(i)));
  must(site.digest_users.add(site.administrator, users, false));
  // 650 phones have the first user, 50 the second one; the others have none.
  site.sql(
      "insert into phone_digest (phone_id, user_id) select p.id, u.id from phones p join digest_users u "
      "on u.name = case when p.device < 'SEP1650' then 'user0' else 'user1' end");
  const auto rows = exported(site);
  CHECK(rows.size() == 700 + 398);
  std::map<std::string, int> counts;
  for (const auto& [key, row] : rows) ++counts[key.first];
  CHECK(counts.at("user0") == 650);
  CHECK(counts.at("user1") == 50);
}

TEST_CASE("an exported phone has the LSC that it confirmed last, unless it is revoked") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  add(site, "4711");
  must(site.digest_users.set_phone(site.administrator, device, "4711"));
  CHECK_FALSE(exported(site).at({"4711", "SEP1"}).lsc);
  const Bytes lsc = site.enrol(device, PhoneKey());
  CHECK(exported(site).at({"4711", "SEP1"}).lsc == sha256(lsc));
  must(site.certificates.revoke(site.administrator, "SEP1", RevocationReason::kKeyCompromise));
  CHECK_FALSE(exported(site).at({"4711", "SEP1"}).lsc);
}

TEST_CASE("an exported phone has the mode in effect, and a user without a phone has none") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  add(site, "4711");
  must(site.digest_users.set_phone(site.administrator, device, "4711"));
  must(site.profiles.add(site.administrator, {"secure", "nonsecure", {.mode = DeviceMode::kEncrypted}}));
  must(site.profiles.apply(site.administrator, Role::kAdmin, {{.devices = {device}}, 1, {}},
                           {.profile = "secure", .anyway = true}));
  const auto mode = [&] { return exported(site).at({"4711", "SEP1"}).mode; };
  must(site.profiles.set_site_mode(site.administrator, SiteMode::kMixed));
  CHECK(mode() == DeviceMode::kNonsecure);
  site.enrol(device, PhoneKey());
  CHECK(mode() == DeviceMode::kEncrypted);
  must(site.profiles.set_site_mode(site.administrator, SiteMode::kNonsecure));
  CHECK(mode() == DeviceMode::kNonsecure);
  must(site.profiles.set_site_mode(site.administrator, SiteMode::kMixed));
  must(site.certificates.revoke(site.administrator, "SEP1", RevocationReason::kKeyCompromise));
  CHECK(mode() == DeviceMode::kNonsecure);
  must(site.phones.remove(site.administrator, device));
  CHECK(exported(site).at({"4711", ""}).mode == DeviceMode::kNonsecure);
}

TEST_CASE("the realm is the site's: another server's, and one that HA1s depend on, are refused") {
  Site site;
  must(site.digest_users.adopt_realm());
  SitePolicy other = site.policy;
  other.digest_realm = "example.org";
  service::DigestUsers elsewhere(site.database(), site.vault(), other, Botan::system_rng());
  must(in_write(site.database(), [](Transaction& tx) {
    return tx.servers().see({"a.example:1:00", "1", {}, {}, {}});
  }));
  CHECK(reason(elsewhere.adopt_realm()) == Reason::kInvalidConfiguration);
  must(in_write(site.database(), [](Transaction& tx) { return tx.servers().remove("a.example:1:00"); }));
  add(site, "4711", "s3cret-9Qx!", true);
  add(site, "4712");
  CHECK(reason(elsewhere.adopt_realm()) == Reason::kInvalidConfiguration);
  must(site.digest_users.remove(site.administrator, "4711"));
  must(elsewhere.adopt_realm());
  must(elsewhere.adopt_realm());
  // The HA1 of a user whose password is kept follows the realm.
  const auto page = must(elsewhere.export_page({}));
  CHECK(page.rows.at(0).realm == "example.org");
  CHECK(page.rows.at(0).ha1.md5.text() ==
        ca::make_ha1("4712", "example.org", Secret(std::string_view("s3cret-9Qx!"))).md5.text());
}

TEST_CASE("of servers that start together for the first time each takes the realm of the other, where it is the same") {
  Site site;
  SitePolicy other = site.policy;
  const bool same = GENERATE(true, false);
  if (!same) other.digest_realm = "example.org";
  service::DigestUsers second(site.database(), site.vault(), other, Botan::system_rng());
  std::thread starting;
  Status adopted;
  must(site.database().write([&](Transaction& tx) -> Status {  // as the first one does
    CAPF_LET(const bool set, tx.digest().set_realm(std::nullopt, site.policy.digest_realm));
    if (!set) return fail(Reason::kInternal);
    starting = std::thread([&] { adopted = second.adopt_realm(); });
    await_waiting(site, 1);
    return {};
  }));
  starting.join();
  CHECK(adopted.has_value() == same);
  CHECK(site.value("select realm from digest_site") == site.policy.digest_realm);
}

TEST_CASE("secrets move to another key in batches that can be continued, while others are added and read") {
  Site site;
  std::vector<service::DigestPassword> users;
  for (int i = 0; i < 300; ++i) users.push_back(user("a" + std::to_string(i), "password " + std::to_string(i)));
  must(site.digest_users.add(site.administrator, users, false));
  for (auto& each : users) each.name.front() = 'b';
  must(site.digest_users.add(site.administrator, users, true));
  const auto before = exported(site);
  add_generation(site, 2);
  service::SecretsRekeying rekeying(site.database(), site.vault(), kSystem, Botan::system_rng());
  must(rekeying.activate(2));
  CHECK(must(rekeying.encrypt_some(2)) == service::SecretsRekeying::kBatch);
  // Interrupted here: both generations are read, and what is new is of the active one.
  add(site, "c");
  CHECK(site.value("select string_agg(distinct generation::text, ' ') from digest_users") == "1 2");
  CHECK(site.value("select generation from digest_users where name = 'c'") == "2");
  CHECK(exported(site).size() == before.size() + 1);
  service::SecretsRekeying again(site.database(), site.vault(), kSystem, Botan::system_rng());
  must(again.activate(2));
  CHECK(must(again.encrypt_some(2)) == 100);
  CHECK(must(again.encrypt_some(2)) == 0);
  must(again.finish(2));
  CHECK(site.value("select string_agg(distinct generation::text, ' ') from digest_users") == "2");
  CHECK(site.value("select string_agg(generation::text, ' ') from secrets_keys") == "2");
  const auto after = exported(site);
  for (const auto& [key, row] : before) CHECK(after.at(key).ha1.md5.text() == row.ha1.md5.text());
  CHECK(site.value("select count(*) from audit_events where action = 'site.rekey_secrets'") == "2");
}

TEST_CASE("no secret is encrypted again before every server that runs has the key") {
  Site site;
  add_generation(site, 2);
  service::SecretsRekeying rekeying(site.database(), site.vault(), kSystem, Botan::system_rng());
  must(rekeying.check_servers(2));
  ServerRecord server{"a.example:1:00", "1", {}, {}, {}, {1}};
  must(in_write(site.database(), [&](Transaction& tx) { return tx.servers().see(server); }));
  const Status refused = rekeying.check_servers(2);
  REQUIRE(reason(refused) == Reason::kSecretsKeyNotReady);
  CHECK_THAT(refused.error().message, Catch::Contains("a.example:1:00") && Catch::Contains("secrets-2.key"));
  server.secrets = {1, 2};
  must(in_write(site.database(), [&](Transaction& tx) { return tx.servers().see(server); }));
  must(rekeying.check_servers(2));
}

TEST_CASE("a server without the active key neither writes nor reads a secret, and says which key it lacks") {
  Site site;
  add(site, "4711");
  const ca::Vault empty;
  service::DigestUsers elsewhere(site.database(), empty, site.policy, Botan::system_rng());
  const auto refused = elsewhere.reveal(site.administrator, "4711");
  REQUIRE(reason(refused) == Reason::kSecretsKeyAbsent);
  CHECK_THAT(refused.error().message, Catch::Contains("keys/secrets-1.key"));
  CHECK(reason(elsewhere.add(site.administrator, {user("4712")}, false)) == Reason::kSecretsKeyAbsent);
}
