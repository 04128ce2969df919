#include <future>
#include <map>
#include <set>

#include "capf/domain/call_store.h"
#include "capf/domain/digest_store.h"
#include "capf/domain/issuer_store.h"
#include "capf/domain/profile_store.h"
#include "capf/domain/server_store.h"
#include "tests/storage/samples.h"

namespace capf::test {
namespace {

using Ids = std::vector<std::int64_t>;

Profile sample_profile(const std::string& name, DeviceMode mode = DeviceMode::kEncrypted, Settings settings = {}) {
  Profile profile;
  profile.name = name;
  profile.mode = mode;
  profile.settings = std::move(settings);
  return profile;
}

// The mode in effect
// ---------------------------------------------------------------------------------------------------

/// Every combination of what it depends on, as the digits of a phone's name: the profile's mode, whether that allows a
/// MIC, blocked, the LSC, and the MIC (none, in time, ended, another than the remembered one, blocked).
constexpr char kEveryPhone[] =
    "insert into profiles (name, mode, settings) select m::text || a, (array['nonsecure', 'authenticated', "
    "'encrypted'])[m + "
    "1], case when a = 1 then '{\"allow_mic\": \"on\"}'::jsonb else '{}' end from generate_series(0, 2) m, "
    "generate_series(0, 1) a; "
    "insert into issuers values (1, 'CN=1', sha256('1'), '', '', now(), now() + interval '9 years', true, 1); "
    "insert into phones (device, profile_id, blocked_at, mic_sha256) "
    "select 'SEP' || m || a || b || l || c, (select id from profiles where name = m || '' || a), "
    "case when b = 1 then now() end, case when c = 4 then sha256('blocked') when c > 0 then sha256('mic') end "
    "from generate_series(0, 2) m, "
    "generate_series(0, 1) a, generate_series(0, 1) b, generate_series(0, 4) l, generate_series(0, 4) c; "
    "update phone_lscs l set lsc = (array['none', 'valid', 'valid', 'revoked', 'held'])[d + 1], not_after = case when "
    "d "
    "> 0 then now() + case when d = 2 then -1 else 1 end * interval '1 hour' end, issuer_id = case when d > 0 then 1 "
    "end "
    "from (select id, substr(device, 7, 1)::int as d from phones) p where p.id = l.phone_id; "
    "insert into phone_mics select id, case c when '3' then sha256('other') when '4' then sha256('blocked') else "
    "sha256('mic') end, '0', now() - "
    "interval '1 day', now() + case when c = '2' then -1 else 1 end * interval '1 hour' "
    "from (select id, substr(device, 8, 1) as c from phones) p where c <> '0'; "
    "insert into blocked_certificates (sha256, key_sha256, serial, subject, issuer, not_after, blocked_by) "
    "values (sha256('blocked'), sha256('its key'), '1', '', '', now() + interval '1 hour', 'tester'); "
    "insert into digest_users (name, password) values ('anna', decode(repeat('01', 40), 'hex')); "
    "insert into phone_digest (phone_id, user_id) select p.id, u.id from phones p, digest_users u";

/// The facts that the name of such a phone says.
ModeFacts facts_of(const std::string& name, SiteMode site) {
  const auto digit = [&](std::size_t place) { return static_cast<std::size_t>(name.at(3 + place) - '0'); };
  return {.site = site,
          .profile = kDeviceModes.at(digit(0)),
          .blocked = digit(2) == 1,
          .lsc = kLscStatuses.at(digit(3)),
          .good_mic = digit(1) == 1 && digit(4) == 1};
}

/// All phones of a selection, by their names.
std::vector<std::string> selected(Transaction& tx, const PhoneSelection& selection) {
  std::vector<std::string> names;
  for (PhonePage page{{}, 100};;) {
    const SelectedPhones found = good(tx.phones().select(selection, page));
    for (const Phone& phone : good(tx.phones().find_all(found.ids))) names.push_back(phone.device.text());
    if (!found.next) break;
    page.after = found.next;
  }
  CHECK(good(tx.phones().count(selection)).phones == static_cast<std::int64_t>(names.size()));
  return names;
}

TEST_CASE("the database finds the mode in effect by the rule that the program has") {
  const FreshDatabase fresh;
  fresh.sql(kEveryPhone);
  const auto database = fresh.open();
  for (const SiteMode site : kSiteModes) {
    std::map<DeviceMode, std::set<std::string>> expected;
    in(*database, [&](Transaction& tx) {
      good(tx.profiles().set_site_mode(site));
      const std::vector<std::string> all = selected(tx, {});
      REQUIRE(all.size() == std::size_t{3} * 2 * 2 * 5 * 5);
      std::map<std::string, DeviceMode> exported;
      for (const DigestAssignment& row : good(tx.digest().assignments({}, 1000))) exported[row.device] = row.mode;
      for (const std::string& name : all) {
        const EffectiveMode effective = effective_mode(facts_of(name, site));
        const Phone phone = *good(tx.phones().find(device(name)));
        INFO(name);
        CHECK(phone.mode == facts_of(name, site).profile);
        CHECK(phone.effective_mode == effective.mode);
        CHECK(phone.mode_reason == effective.reason);
        CHECK(exported.at(name) == effective.mode);
        const auto party = good(tx.calls().look(std::vector<CallParty>{{PartyKind::kDevice, name}})).at(0);
        CHECK(effective_mode(party.devices.at(0).mode) == effective);
        expected[effective.mode].insert(name);
      }
      for (unsigned subset = 1; subset < 8; ++subset) {
        PhoneSelection selection;
        std::set<std::string> names;
        for (const DeviceMode mode : kDeviceModes) {
          if ((subset >> static_cast<unsigned>(mode) & 1U) == 0) continue;
          selection.effective_modes.push_back(mode);
          names.insert(expected[mode].begin(), expected[mode].end());
        }
        INFO("subset " << subset);
        CHECK(selected(tx, selection) == std::vector<std::string>(names.begin(), names.end()));
      }
    });
    CHECK(expected[DeviceMode::kEncrypted].empty() == (site == SiteMode::kNonsecure));
  }
}

TEST_CASE("phones that are alike are counted with the facts of each") {
  const FreshDatabase fresh;
  fresh.sql(kEveryPhone);
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    good(tx.profiles().set_site_mode(SiteMode::kMixed));
    std::map<DeviceMode, std::int64_t> counted;
    for (PhonesAlike some : good(tx.profiles().alike(std::nullopt))) {
      some.facts.site = SiteMode::kMixed;
      counted[effective_mode(some.facts).mode] += some.phones;
    }
    for (const DeviceMode mode : kDeviceModes) {
      CHECK(counted[mode] == good(tx.phones().count({.effective_modes = {mode}})).phones);
    }
    const std::int64_t one = good(tx.profiles().find("20"))->id;
    std::int64_t phones = 0;
    for (const PhonesAlike& some : good(tx.profiles().alike(one))) {
      CHECK(some.facts.profile == DeviceMode::kEncrypted);
      CHECK_FALSE(some.facts.good_mic);
      phones += some.phones;
    }
    CHECK(phones == std::int64_t{2} * 5 * 5);
    CHECK(good(tx.profiles().count(one)) == phones);
  });
}

TEST_CASE("a certificate counts from its first moment to just before its last one, whoever asks") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [](Transaction& tx) {
    good(tx.profiles().set_site_mode(SiteMode::kMixed));
    const std::int64_t profile =
        good(tx.profiles().add(sample_profile("desks", DeviceMode::kEncrypted, {{"allow_mic", "on"}})));
    const std::int64_t issuer = good(tx.issuers().add(sample_issuer()));
    const std::chrono::microseconds moment{1};
    const std::chrono::hours hour{1};
    struct Row {
      std::string words;
      TimePoint from;
      TimePoint until;
      bool counts = false;
    };
    int place = 0;
    for (const auto& [words, from, until, counts] :
         {Row{"the first moment", tx.now(), tx.now() + hour, true},
          Row{"just before the first", tx.now() + moment, tx.now() + hour, false},
          Row{"just before the last", tx.now() - hour, tx.now() + moment, true},
          Row{"the last moment", tx.now() - hour, tx.now(), false}}) {
      for (const bool by_lsc : {false, true}) {
        if (by_lsc && from > tx.now()) continue;  // an LSC of the future authenticates nobody, so none is confirmed
        CAPTURE(words, by_lsc);
        const Phone phone = added_phone(tx, device("SEP" + std::to_string(++place)));
        good(tx.profiles().apply(Ids{phone.id}, profile));
        if (by_lsc) {
          Certificate lsc = sample_lsc(tx, added_operation(tx, phone), issuer, phone.device.text());
          lsc.not_before = from;
          lsc.not_after = until;
          written(tx, phone.id, {ConfirmCertificate{added_certificate(tx, lsc)}});
        } else {
          written(tx, phone.id, {SetMic{digest("mic"), false, Bytes{1}, from, until}});
        }
        const DeviceMode expected = counts ? DeviceMode::kEncrypted : DeviceMode::kNonsecure;
        CHECK(good(tx.phones().find(phone.device))->effective_mode == expected);
        const PhoneSelection same{.devices = {phone.device}, .effective_modes = {expected}};
        CHECK(good(tx.phones().select(same, {{}, 10})).ids == Ids{phone.id});
        const auto party =
            good(tx.calls().look(std::vector<CallParty>{{PartyKind::kDevice, phone.device.text()}})).at(0);
        CHECK(effective_mode(party.devices.at(0).mode).mode == expected);
      }
    }
  });
}

// Records
// --------------------------------------------------------------------------------------------------------------

TEST_CASE("a profile is added, found, changed and removed, and counts its revision") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  const Settings settings{{"auth", "mic"}, {"models", "CP-88*"}, {"odd", "\"back\\slash=\""}};
  in(*database, [&](Transaction& tx) {
    const std::int64_t id = good(tx.profiles().add(sample_profile("desks", DeviceMode::kEncrypted, settings)));
    Profile profile = *good(tx.profiles().find("desks"));
    CHECK(profile.id == id);
    CHECK(profile.mode == DeviceMode::kEncrypted);
    CHECK(profile.settings == settings);
    CHECK(profile.revision == 1);
    CHECK(profile.created_at == tx.now());
    CHECK(tx.profiles().add(sample_profile("desks")).error().reason == Reason::kProfileExists);
    profile.name = "Büro";
    profile.settings.erase("auth");
    good(tx.profiles().set(profile));
    CHECK_FALSE(good(tx.profiles().find("desks")));
    const Profile changed = *good(tx.profiles().find(id));
    CHECK(changed.name == "Büro");
    CHECK(changed.settings == profile.settings);
    CHECK(changed.revision == 2);
    good(tx.profiles().remove(id));
    CHECK_FALSE(good(tx.profiles().find("Büro")));
  });
}

TEST_CASE("the first profile is every phone's until another is applied, and never changes") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [](Transaction& tx) {
    const Profile first = *good(tx.profiles().find(kFirstProfile));
    CHECK(first.name == kFirstProfileName);
    CHECK(first.mode == DeviceMode::kNonsecure);
    CHECK(first.settings.empty());
    CHECK(added_phone(tx).profile == kFirstProfileName);
  });
  CHECK_THROWS(fresh.sql("update profiles set mode = 'encrypted' where id = 1", "capf_server"));
  CHECK_THROWS(fresh.sql("delete from profiles where id = 1", "capf_server"));
}

TEST_CASE("phones get a profile and are counted, and a change of the profile writes none of them") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  std::int64_t profile_id = 0;
  Ids ids;
  in(*database, [&](Transaction& tx) {
    profile_id = good(tx.profiles().add(sample_profile("desks")));
    for (const char* name : {"SEP1", "SEP2", "SEP3"}) ids.push_back(added_phone(tx, device(name)).id);
  });
  const std::string revisions = "select string_agg(revision || '', ' ' order by id) from phones";
  const std::string versions = "select string_agg(xmin || '', ' ' order by id) from phones";
  REQUIRE(fresh.sql(revisions) == "0 0 0");
  in(*database, [&](Transaction& tx) {
    CHECK(good(tx.profiles().apply(Ids{ids[0], ids[1]}, profile_id)) == Ids{ids[0], ids[1]});
    CHECK(good(tx.profiles().apply(ids, profile_id)) == Ids{ids[2]});
    CHECK(good(tx.profiles().apply(Ids{ids[2]}, kFirstProfile)) == Ids{ids[2]});
  });
  CHECK(fresh.sql("select revision from phones where device = 'SEP1'") == "1");
  const std::string before = fresh.sql(versions);
  in(*database, [&](Transaction& tx) {
    CHECK(good(tx.profiles().count(profile_id)) == 2);
    CHECK(good(tx.profiles().count(kFirstProfile)) == 1);
    std::string counts;
    for (const Profile& profile : good(tx.profiles().list({0, 10}))) {
      counts += profile.name + " " + std::to_string(profile.phones) + " ";
    }
    CHECK(counts == "nonsecure 1 desks 2 ");
    Profile profile = *good(tx.profiles().find("desks"));
    profile.mode = DeviceMode::kAuthenticated;
    good(tx.profiles().set(profile));
    good(tx.profiles().set_site_mode(SiteMode::kMixed));
    CHECK(good(tx.phones().find(device("SEP1")))->mode == DeviceMode::kAuthenticated);
    CHECK(selected(tx, {.profiles = {"desks"}}) == std::vector<std::string>{"SEP1", "SEP2"});
    CHECK(selected(tx, {.profiles = {"desks", "nonsecure"}}).size() == 3);
    CHECK(selected(tx, {.profiles = {"other"}}).empty());
    CHECK(selected(tx, {.modes = {DeviceMode::kAuthenticated}}) == std::vector<std::string>{"SEP1", "SEP2"});
    CHECK(selected(tx, {.modes = {DeviceMode::kNonsecure}}) == std::vector<std::string>{"SEP3"});
  });
  CHECK(fresh.sql(versions) == before);
  in(*database, [&](Transaction& tx) { good(tx.phones().remove_all(Ids{ids[0], ids[1]})); });
  in(*database, [&](Transaction& tx) {
    CHECK(good(tx.profiles().count(profile_id)) == 0);
    good(tx.profiles().remove(profile_id));
  });
}

TEST_CASE("a phone's own values are kept beside it, and go with it") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  Phone phone{.device = device()};
  const Settings own{{"auth", "string"}, {"capf", "a.example:3804,[::1]:3804"}};
  const auto settings_of = [&](Transaction& tx) {
    return good(tx.profiles().phones(Ids{phone.id}, false)).at(0).settings;
  };
  in(*database, [&](Transaction& tx) {
    phone = added_phone(tx);
    const std::int64_t profile = good(tx.profiles().add(sample_profile("desks")));
    good(tx.profiles().apply(Ids{phone.id}, profile));
    CHECK(settings_of(tx).empty());
    good(tx.profiles().set_own(std::vector<std::pair<std::int64_t, Settings>>{{phone.id, own}}));
    CHECK(settings_of(tx) == own);
    CHECK(good(tx.profiles().count_with_own(profile, std::vector<std::string>{"auth"})) == 1);
    CHECK(good(tx.profiles().count_with_own(profile, std::vector<std::string>{"auth", "pc_port"})) == 0);
    good(tx.profiles().set_own(std::vector<std::pair<std::int64_t, Settings>>{{phone.id, {}}}));
  });
  CHECK(fresh.sql("select count(*) from phone_settings") == "0");
  in(*database, [&](Transaction& tx) {
    good(tx.profiles().set_own(std::vector<std::pair<std::int64_t, Settings>>{{phone.id, own}}));
    good(tx.phones().remove_all(Ids{phone.id}));
    CHECK(good(tx.profiles().phones(Ids{phone.id}, false)).empty());
  });
  CHECK(fresh.sql("select count(*) from phone_settings") == "0");
}

TEST_CASE("own values of a profile's phones are found by their kinds, and each kind is counted") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  std::int64_t desks = 0;
  std::int64_t halls = 0;
  const auto kinds = [&](Transaction& tx, std::int64_t profile) {
    std::string text;
    for (const OwnKind& kind : good(tx.profiles().own_kinds(profile))) {
      text += kind.device + " " + words_of(kind.settings) + " " +
              std::to_string(good(tx.profiles().count_of_kind(profile, kind.phone_id, 2))) + "; ";
    }
    return text;
  };
  in(*database, [&](Transaction& tx) {
    desks = good(tx.profiles().add(sample_profile("desks")));
    halls = good(tx.profiles().add(sample_profile("halls")));
    std::vector<std::pair<std::int64_t, Settings>> own;
    const std::vector<Settings> values{
        {{"digest", "on"}}, {{"digest", "on"}, {"usb", "off"}}, {{"key_order", "ec"}}, {{"digest", "on"}}, {}};
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Phone phone = added_phone(tx, device("SEP" + std::to_string(i)));
      good(tx.profiles().apply(Ids{phone.id}, desks));
      own.emplace_back(phone.id, values[i]);
    }
    good(tx.profiles().set_own(own));
    CHECK(kinds(tx, desks) == "SEP0 digest=on 2; SEP2 key_order=ec 1; ");  // counted as far as it was asked
    CHECK(kinds(tx, halls).empty());
  });
  in(*database, [&](Transaction& tx) {
    const Ids moved{good(tx.phones().find(device("SEP2")))->id, good(tx.phones().find(device("SEP3")))->id};
    good(tx.profiles().apply(moved, halls));
    CHECK(kinds(tx, halls) == "SEP3 digest=on 1; SEP2 key_order=ec 1; ");
    CHECK(kinds(tx, desks) == "SEP0 digest=on 2; ");
    good(tx.phones().remove_all(moved));
    CHECK(kinds(tx, halls).empty());
  });
}

TEST_CASE("the kinds of own values are looked up one by one, with the statistics of a full site or of an empty one") {
  for (const bool full : {true, false}) {
    CAPTURE(full);
    const FreshDatabase fresh;
    for (const char* table : {"phones", "phone_settings"}) {
      fresh.sql("alter table " + std::string(table) + " set (autovacuum_enabled = off)");
    }
    fresh.sql("insert into profiles (name, mode) values ('desks', 'encrypted'), ('halls', 'encrypted')");
    fresh.sql("analyze phones, phone_settings");
    fresh.sql("insert into phones (device, profile_id) select 'SEP' || n, 2 + n % 2 from generate_series(1, 20000) n");
    fresh.sql(
        "insert into phone_settings (phone_id, settings) select id, jsonb_build_object('digest', case when id % 3 = 0 "
        "then 'on' else 'off' end, 'sip_port', id::text) from phones");
    if (full) fresh.sql("vacuum analyze phones, phone_settings");
    const std::string entries =
        "select sum(idx_tup_read) from pg_stat_user_indexes where relname in ('phones', 'phone_settings')";
    const auto counted = [&] { return std::stoll(fresh.statistics(entries)); };
    const long long before = counted();
    {
      const auto database = fresh.open(1);
      in(*database, [](Transaction& tx) {
        const auto kinds = good(tx.profiles().own_kinds(2));
        REQUIRE(kinds.size() == 2);
        CHECK(good(tx.profiles().count_of_kind(2, kinds[0].phone_id, 100)) == 100);
      });
    }
    CHECK(counted() - before < 1000);
  }
}

TEST_CASE("a phone is found with its open operation and the LSC that it uses") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [](Transaction& tx) {
    const Operation operation = added_operation(tx, added_phone(tx));
    Certificate lsc = sample_lsc(tx, operation, good(tx.issuers().add(sample_issuer())));
    lsc.id = added_certificate(tx, lsc);
    const auto look = [&] { return good(tx.profiles().phones(Ids{operation.phone_id}, true)).at(0); };
    CHECK(look().install_open);
    CHECK(look().string_open);
    CHECK_FALSE(look().ec_open);
    CHECK(look().lsc_der.empty());
    CHECK(look().lsc == LscStatus::kNone);
    written(tx, operation.phone_id,
            {ConfirmCertificate{lsc.id}, EndOperation{operation.id, OperationState::kCancelled, std::nullopt, ""}});
    CHECK_FALSE(look().install_open);
    CHECK(look().lsc_der == lsc.der);
    CHECK(look().lsc == LscStatus::kValid);
    CHECK(good(tx.profiles().phones(Ids{operation.phone_id}, false)).at(0).lsc_der.empty());
  });
}

TEST_CASE("a MIC that is kept says its dates, until it is forgotten or another one is remembered") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [](Transaction& tx) {
    const Phone phone = added_phone(tx);
    const auto kept = [&] { return good(tx.phones().find(phone.device))->mic_is_kept; };
    const auto in_time = [&] { return good(tx.profiles().phones(Ids{phone.id}, false)).at(0).mic_in_time; };
    written(tx, phone.id, {SetMic{digest("mic"), false}});
    CHECK_FALSE(kept());
    CHECK_FALSE(in_time());
    written(
        tx, phone.id,
        {SetMic{digest("mic"), false, Bytes{1}, tx.now() - std::chrono::hours(1), tx.now() + std::chrono::hours(1)}});
    CHECK(kept());
    CHECK(in_time());
    good(tx.phones().forget_mics(Ids{phone.id}));
    CHECK_FALSE(kept());
    CHECK_FALSE(in_time());
    written(tx, phone.id, {SetMic{digest("other"), true}});
    CHECK_FALSE(kept());
    CHECK_FALSE(in_time());
  });
}

// Two at once
// ----------------------------------------------------------------------------------------------------------

TEST_CASE("a profile that is being removed waits for whom it is given to") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  std::int64_t phone = 0;
  in(*database, [&](Transaction& tx) {
    phone = added_phone(tx).id;
    good(tx.profiles().add(sample_profile("desks")));
  });
  std::promise<void> held;
  auto removal = std::async(std::launch::async, [&] {
    held.get_future().wait();
    std::int64_t count = -1;
    in(*database, [&](Transaction& tx) {
      good(tx.profiles().lock());
      const Profile profile = *good(tx.profiles().lock("desks"));
      count = good(tx.profiles().count(profile.id));
    });
    return count;
  });
  in(*database, [&](Transaction& tx) {
    const Profile profile = *good(tx.profiles().hold("desks"));
    held.set_value();
    // It waits for this transaction, so there is nothing to wait for but its question.
    while (fresh.sql("select count(*) from pg_locks join pg_stat_activity using (pid) where not granted and "
                     "datname = current_database()") == "0") {
    }
    good(tx.profiles().apply(Ids{phone}, profile.id));
  });
  CHECK(removal.get() == 1);
}

TEST_CASE("servers say the settings that they have") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [](Transaction& tx) {
    ServerRecord server;
    server.name = "a:1";
    server.settings = Settings{{"auth", "mic"}};
    good(tx.servers().see(server));
    ServerRecord former;
    former.name = "b:1";
    good(tx.servers().see(former));
    const auto servers = good(tx.servers().alive());
    REQUIRE(servers.size() == 2);
    CHECK(servers[0].settings == server.settings);
    CHECK_FALSE(servers[1].settings);
  });
}

}  // namespace
}  // namespace capf::test
