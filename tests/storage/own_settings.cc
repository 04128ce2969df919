#include <optional>
#include <thread>

#include <catch2/catch.hpp>

#include "capf/domain/profile_store.h"
#include "tests/support/expect.h"
#include "tests/support/site.h"

// Phones' own values beside a profile that changes.

using namespace capf;
using namespace capf::test;

namespace {

constexpr auto kNonsecure = DeviceMode::kNonsecure;
constexpr auto kEncrypted = DeviceMode::kEncrypted;

struct OwnSite : Site {
  void add_profile(const std::string& name, const Settings& settings = {}, DeviceMode mode = kNonsecure) {
    must(profiles.add(administrator, {name, "nonsecure", {.mode = mode, .set = settings}}));
  }
  std::vector<DeviceName> add_phones_with(const std::string& profile, int count) {
    std::vector<DeviceName> devices;
    for (int i = 0; i < count; ++i) devices.push_back(add_phone("SEP" + std::to_string(2000 + next_++)));
    must(profiles.apply(administrator, Role::kAdmin, bulk_of(devices), {.profile = profile, .anyway = true}));
    return devices;
  }
  Result<service::OwnAnswer> set_own(const std::vector<DeviceName>& devices, const Settings& settings) {
    return profiles.change_own(administrator, Role::kAdmin, bulk_of(devices), {.set = settings});
  }
  /// The refusal, which a dry run says too; nothing where the profile changed.
  std::optional<Error> change(const std::string& profile, const ProfileChange& change) {
    const auto checked = profiles.check(profile, change);
    const auto done = profiles.set(administrator, profile, change);
    CHECK(checked.has_value() == done.has_value());
    if (done) return std::nullopt;
    if (!checked) CHECK(checked.error().message == done.error().message);
    return done.error();
  }
  std::string shown(const std::string& profile) {
    const Profile found = must(profiles.show(profile)).profile;
    return std::string(to_string(found.mode)) + " " + words_of(found.settings) + " " + std::to_string(found.revision);
  }
  int next_ = 0;
  static service::Bulk bulk_of(const std::vector<DeviceName>& devices) {
    return {{.devices = devices}, static_cast<std::int64_t>(devices.size()), {}};
  }
};

}  // namespace

TEST_CASE("a change that a profile's phones cannot follow with their own values is refused, with how many they are") {
  struct Row {
    const char* words;
    Settings profile;
    Settings own;
    ProfileChange change;
    Reason reason;
    const char* told;
  };
  const std::vector<Row> rows{
      {"encrypted files for an own EC key",
       {},
       {{"key_order", "ec"}},
       {.set = {{"encrypted_config", "on"}}},
       Reason::kEncryptedConfigNeedsRsa,
       "encrypted_config needs phones with RSA keys, but key_order is ec"},
      {"an EC key for own encrypted files",
       {},
       {{"encrypted_config", "on"}},
       {.set = {{"key_order", "ec"}}},
       Reason::kEncryptedConfigNeedsRsa,
       "encrypted_config needs phones with RSA keys, but key_order is ec"},
      {"SCCP for own digest",
       {},
       {{"digest", "on"}},
       {.set = {{"protocol", "sccp"}}},
       Reason::kSettingsConflict,
       "digest is on, but protocol is sccp: digest authentication is SIP's"},
      {"a secure mode beside an own transport",
       {},
       {{"transport", "udp"}},
       {.mode = kEncrypted},
       Reason::kSettingsConflict,
       "transport is set, but a phone that is encrypted always has TLS"},
      {"a model that cannot what the phone has on",
       {},
       {{"encrypted_config", "on"}},
       {.set = {{"models", "CP-7940"}}},
       Reason::kModelCannot,
       "a CP-7940 cannot open encrypted files (encrypted_config)"},
      {"a secure mode with another change beside an own transport",
       {{"protocol", "sccp"}},
       {{"transport", "tcp"}},
       {.mode = DeviceMode::kAuthenticated, .unset = {"protocol"}},
       Reason::kSettingsConflict,
       "transport is set, but a phone that is authenticated always has TLS"},
  };
  OwnSite site;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    CAPTURE(row.words);
    const std::string name = "profile " + std::to_string(i);
    site.add_profile(name, row.profile);
    const auto devices = site.add_phones_with(name, 3);
    must(site.set_own({devices[0], devices[1]}, row.own));
    const std::string before = site.shown(name);
    const auto refusal = site.change(name, row.change);
    REQUIRE(refusal);
    CHECK(refusal->reason == row.reason);
    CHECK(refusal->message == "nothing was changed: 2 phones cannot follow it with their own values, as " +
                                  devices[0].text() + ": " + row.told);
    CHECK(site.shown(name) == before);
    must(site.set_own({devices[1]}, {{"usb", "off"}}));
    must(site.profiles.change_own(site.administrator, Role::kAdmin, OwnSite::bulk_of(devices),
                                  {.unset = {row.own.begin()->first}}));
    CHECK_FALSE(site.change(name, row.change));
  }
}

TEST_CASE("own values that differ are counted by what is wrong with them, and what was wrong before is no obstacle") {
  OwnSite site;
  site.add_profile("desks");
  const auto devices = site.add_phones_with("desks", 4);
  must(site.set_own({devices[0]}, {{"key_order", "ec"}, {"digest", "on"}}));
  must(site.set_own({devices[1]}, {{"key_order", "ec"}, {"usb", "off"}}));
  must(site.set_own({devices[2]}, {{"digest", "on"}}));
  const auto refusal = site.change("desks", {.set = {{"encrypted_config", "on"}, {"protocol", "sccp"}}});
  REQUIRE(refusal);
  CHECK_THAT(refusal->message, Catch::Contains("2 phones cannot follow it with their own values, as " +
                                               devices[2].text() + ": digest is on") ||
                                   Catch::Contains("2 phones cannot follow it with their own values, as " +
                                                   devices[0].text() + ": digest is on"));
  CHECK_THAT(refusal->message, Catch::Contains("2 phones") && Catch::Contains(": encrypted_config needs phones"));
  // Left over by a version that did not look.
  site.sql("update profiles set settings = '{\"encrypted_config\": \"on\"}' where name = 'desks'");
  CHECK_FALSE(site.change("desks", {.description = "Desks"}));
  CHECK_FALSE(site.change("desks", {.set = {{"usb", "off"}}}));
  // Phones of another profile are not asked.
  site.add_profile("halls");
  CHECK_FALSE(site.change("halls", {.set = {{"encrypted_config", "on"}, {"protocol", "sccp"}}}));
}

TEST_CASE("a value of a phone's own waits for a change of profiles, and is judged by what that leaves") {
  OwnSite site;
  site.add_profile("desks");
  const auto devices = site.add_phones_with("desks", 1);
  std::optional<Reason> reason;
  std::thread own;
  must(site.database().write([&](Transaction& tx) -> Status {  // as Profiles::set()
    CAPF_TRY(tx.profiles().lock());
    CAPF_LET(auto profile, tx.profiles().lock("desks"));
    profile->settings = {{"encrypted_config", "on"}};
    CAPF_TRY(tx.profiles().set(*profile));
    if (own.joinable()) return {};
    own = std::thread([&] {
      const auto answer = site.set_own(devices, {{"key_order", "ec"}});
      if (!answer) reason = answer.error().reason;
    });
    while (site.value_now("select count(*) from pg_locks where not granted and locktype = 'advisory' and "
                          "database = (select oid from pg_database where datname = current_database())") == "0") {
    }
    return {};
  }));
  own.join();
  CHECK(reason == Reason::kEncryptedConfigNeedsRsa);
  CHECK(site.value("select count(*) from phone_settings") == "0");
}

TEST_CASE(
    "an EC key alone is not scheduled for a phone with encrypted files, and others of the batch are no better off") {
  OwnSite site;
  site.add_profile("sealed", {{"encrypted_config", "on"}});
  const auto sealed = site.add_phones_with("sealed", 1);
  const DeviceName open = site.add_phone("SEP9");
  service::ScheduleBulk bulk;
  bulk.phones = OwnSite::bulk_of({sealed[0], open});
  bulk.plan.key.order = KeyOrder::kEc;
  const auto check = must(site.operations.check_schedule(bulk));
  REQUIRE(check.problems.size() == 1);
  CHECK(check.problems[0].device == sealed[0].text());
  CHECK(check.problems[0].reason == Reason::kEncryptedConfigNeedsRsa);
  CHECK(refused(site.operations.schedule(site.administrator, bulk)) == Reason::kEncryptedConfigNeedsRsa);
  service::ScheduleRequest request;
  request.devices = sealed;
  request.key.order = KeyOrder::kEc;
  CHECK(refused(site.operations.schedule(site.administrator, request)) == Reason::kEncryptedConfigNeedsRsa);
  CHECK(site.value("select count(*) from operations") == "0");
  request.key.order = KeyOrder::kEcRsa;
  CHECK(must(site.operations.schedule(site.administrator, request)).operations.size() == 1);
}

TEST_CASE("files are not encrypted for a phone whose open operation installs an EC key alone") {
  OwnSite site;
  site.add_profile("sealed", {{"encrypted_config", "on"}});
  const DeviceName device = site.add_phone("SEP1");
  service::ScheduleRequest request;
  request.devices = {device};
  request.key.order = KeyOrder::kEc;
  must(site.operations.schedule(site.administrator, request));
  const auto apply = [&] {
    return site.profiles.apply(site.administrator, Role::kAdmin, OwnSite::bulk_of({device}),
                               {.profile = "sealed", .anyway = true});
  };
  CHECK(refused(apply()) == Reason::kEncryptedConfigNeedsRsa);
  CHECK(refused(site.set_own({device}, {{"encrypted_config", "on"}})) == Reason::kEncryptedConfigNeedsRsa);
  must(site.operations.cancel(site.administrator, device));
  CHECK(must(apply()).changed == 1);
}
