#include <map>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/domain/policy.h"
#include "capf/domain/setting.h"

using namespace capf;

namespace {

EffectiveSettings of_profile(const Settings& profile, const SitePolicy& site = {}) {
  return effective_settings(site, profile, {});
}

struct CombinationRow {
  const char* words;
  DeviceMode mode;
  Settings profile;
  std::vector<Reason> refusals;
  std::size_t warnings = 0;
};

constexpr auto kNonsecure = DeviceMode::kNonsecure;
constexpr auto kAuthenticated = DeviceMode::kAuthenticated;
constexpr auto kEncrypted = DeviceMode::kEncrypted;

std::vector<Reason> reasons_of(const Findings& findings) {
  std::vector<Reason> reasons;
  for (const Error& refusal : findings.refusals) reasons.push_back(refusal.reason);
  return reasons;
}

}  // namespace

TEST_CASE("combinations that cannot work in any phone are refused, and doubtful ones are told") {
  const std::vector<CombinationRow> rows{
      {"nothing is set", kNonsecure, {}, {}},
      {"nothing is set in a secure profile", kEncrypted, {}, {}},
      {"a new profile", kEncrypted, fresh_profile_settings(), {}},
      {"digest with SIP", kNonsecure, {{"digest", "on"}, {"protocol", "sip"}}, {}},
      {"digest with any protocol", kNonsecure, {{"digest", "on"}}, {}},
      {"digest without SIP", kNonsecure, {{"digest", "on"}, {"protocol", "sccp"}}, {Reason::kSettingsConflict}},
      {"a transport", kNonsecure, {{"transport", "udp"}}, {}},
      {"a transport, authenticated", kAuthenticated, {{"transport", "tcp"}}, {Reason::kSettingsConflict}},
      {"a transport, encrypted", kEncrypted, {{"transport", "tcp+udp"}}, {Reason::kSettingsConflict}},
      {"a SIP port", kNonsecure, {{"sip_port", "5080"}}, {}},
      {"a SIP port with UDP", kNonsecure, {{"sip_port", "5080"}, {"transport", "udp"}}, {}},
      {"a SIP port without UDP", kNonsecure, {{"sip_port", "5080"}, {"transport", "tcp"}}, {}, 1},
      {"a SIP port with TLS", kEncrypted, {{"sip_port", "5080"}}, {}, 1},
      {"a SIP port without SIP", kNonsecure, {{"sip_port", "5080"}, {"protocol", "sccp"}}, {}, 1},
      {"encrypted files with RSA", kEncrypted, {{"encrypted_config", "on"}, {"key_order", "rsa"}}, {}},
      {"encrypted files in a nonsecure profile", kNonsecure, {{"encrypted_config", "on"}}, {}},
      {"encrypted files with EC first", kEncrypted, {{"encrypted_config", "on"}, {"key_order", "ec-rsa"}}, {}, 1},
      {"encrypted files with EC alone",
       kEncrypted,
       {{"encrypted_config", "on"}, {"key_order", "ec"}},
       {Reason::kEncryptedConfigNeedsRsa}},
      {"EC alone", kEncrypted, {{"key_order", "ec"}}, {}},
      {"settings off and string", kNonsecure, {{"settings_access", "off"}, {"auth", "string"}}, {}, 1},
      {"settings off and the site's string", kNonsecure, {{"settings_access", "off"}}, {}, 1},
      {"settings off and MIC", kNonsecure, {{"settings_access", "off"}, {"auth", "mic"}}, {}},
      {"settings restricted and string", kNonsecure, {{"settings_access", "restricted"}, {"auth", "string"}}, {}},
      {"encrypted files for a model that can", kNonsecure, {{"encrypted_config", "on"}, {"models", "CP-8861"}}, {}},
      {"encrypted files for a model that cannot",
       kNonsecure,
       {{"encrypted_config", "on"}, {"models", "CP-7940"}},
       {Reason::kModelCannot}},
      {"encrypted files for some models", kNonsecure, {{"encrypted_config", "on"}, {"models", "CP-79*"}}, {}},
      {"two faults",
       kEncrypted,
       {{"digest", "on"}, {"protocol", "sccp"}, {"encrypted_config", "on"}, {"key_order", "ec"}},
       {Reason::kSettingsConflict, Reason::kEncryptedConfigNeedsRsa}},
  };
  for (const CombinationRow& row : rows) {
    CAPTURE(row.words);
    const Findings findings = check_combination(row.mode, of_profile(row.profile));
    CHECK(reasons_of(findings) == row.refusals);
    CHECK(findings.warnings.size() == row.warnings);
    CHECK(findings.status().has_value() == row.refusals.empty());
  }
}

TEST_CASE("the site's key order counts for the combination too") {
  SitePolicy site;
  site.settings = {{"key_order", "ec"}};
  CHECK(reasons_of(check_combination(kEncrypted, of_profile({{"encrypted_config", "on"}}, site))) ==
        std::vector<Reason>{Reason::kEncryptedConfigNeedsRsa});
}

TEST_CASE(
    "a phone's own values make a combination impossible by four settings alone, which storage looks phones up by") {
  const std::set<std::string> deciding{"digest", "encrypted_config", "key_order", "transport"};
  const std::vector<Settings> profiles{{},
                                       {{"digest", "on"}},
                                       {{"protocol", "sccp"}},
                                       {{"encrypted_config", "on"}},
                                       {{"key_order", "ec"}},
                                       {{"models", "CP-7940"}}};
  std::set<std::string> refused;
  for (const Settings& profile : profiles) {
    for (const PhoneSetting& setting : phone_settings()) {
      if (!setting.may_have(Owner::kPhone)) continue;
      std::vector<std::string> values = setting.form.words;
      if (values.empty()) values = {std::to_string(setting.form.least), "1d", "a.example:3804"};
      for (const std::string& value : values) {
        for (const DeviceMode mode : kDeviceModes) {
          const auto without = check_combination(mode, effective_settings({}, profile, {}));
          const auto with = check_combination(mode, effective_settings({}, profile, {{setting.name, value}}));
          if (reasons_of(without) != reasons_of(with)) refused.insert(setting.name);
        }
      }
    }
  }
  CHECK(refused == deciding);
}

TEST_CASE("all refusals are told under the reason of the first") {
  const Findings findings{{{Reason::kSettingsConflict, "one"}, {Reason::kModelCannot, "two"}}, {"three"}};
  REQUIRE_FALSE(findings.status());
  CHECK(findings.status().error().reason == Reason::kSettingsConflict);
  CHECK(findings.status().error().message == "one; two");
}

namespace {

using Key = PhoneAbilities::Key;

/// A phone that can everything: each row changes one thing.
PhoneAbilities good_phone() {
  return {.device = "SEP001122334455", .model = "CP-8861", .lsc = LscStatus::kValid, .lsc_key = Key::kRsa};
}

struct PhoneRow {
  const char* words;
  DeviceMode mode;
  Settings profile;
  void (*change)(PhoneAbilities&);
  std::vector<Reason> refusals;
  std::size_t warnings = 0;
};

void nothing(PhoneAbilities&) {}
void no_lsc(PhoneAbilities& phone) { phone.lsc = LscStatus::kNone; }
void a_7912(PhoneAbilities& phone) { phone.model = "CP-7912"; }
void a_7960(PhoneAbilities& phone) { phone.model = "CP-7960G"; }
void unknown_model(PhoneAbilities& phone) { phone.model = ""; }

}  // namespace

TEST_CASE("what this phone cannot do is refused with its name") {
  const std::vector<PhoneRow> rows{
      {"a valid LSC", kEncrypted, {}, nothing, {}},
      {"no LSC", kEncrypted, {}, no_lsc, {Reason::kNoCertificate}},
      {"no LSC, authenticated", kAuthenticated, {}, no_lsc, {Reason::kNoCertificate}},
      {"no LSC in a nonsecure profile", kNonsecure, {}, no_lsc, {}},
      {"an expired LSC", kEncrypted, {}, [](auto& p) { p.lsc = LscStatus::kExpired; }, {Reason::kNoCertificate}},
      {"a revoked LSC", kEncrypted, {}, [](auto& p) { p.lsc = LscStatus::kRevoked; }, {Reason::kNoCertificate}},
      {"an LSC on hold", kEncrypted, {}, [](auto& p) { p.lsc = LscStatus::kHeld; }, {Reason::kNoCertificate}},
      {"no LSC, one scheduled",
       kEncrypted,
       {},
       [](auto& p) {
         p.lsc = LscStatus::kNone;
         p.install_open = true;
       },
       {}},
      {"no LSC, a MIC",
       kEncrypted,
       {},
       [](auto& p) {
         p.lsc = LscStatus::kNone;
         p.good_mic = true;
       },
       {Reason::kNoCertificate}},
      {"no LSC, a MIC that counts",
       kEncrypted,
       {{"allow_mic", "on"}},
       [](auto& p) {
         p.lsc = LscStatus::kNone;
         p.good_mic = true;
       },
       {}},
      {"no LSC, and no MIC that could count", kEncrypted, {{"allow_mic", "on"}}, no_lsc, {Reason::kNoCertificate}},

      {"encrypted files, RSA", kEncrypted, {{"encrypted_config", "on"}}, nothing, {}},
      {"encrypted files, EC",
       kEncrypted,
       {{"encrypted_config", "on"}},
       [](auto& p) { p.lsc_key = Key::kEc; },
       {Reason::kEncryptedConfigNeedsRsa}},
      {"encrypted files in a nonsecure profile, EC",
       kNonsecure,
       {{"encrypted_config", "on"}},
       [](auto& p) { p.lsc_key = Key::kEc; },
       {Reason::kEncryptedConfigNeedsRsa}},
      {"encrypted files, EC on hold",
       kNonsecure,
       {{"encrypted_config", "on"}},
       [](auto& p) {
         p.lsc = LscStatus::kHeld;
         p.lsc_key = Key::kEc;
       },
       {Reason::kEncryptedConfigNeedsRsa}},
      {"encrypted files, an EC key of the past",
       kNonsecure,
       {{"encrypted_config", "on"}},
       [](auto& p) {
         p.lsc = LscStatus::kExpired;
         p.lsc_key = Key::kEc;
       },
       {}},
      {"encrypted files, a key of which nothing is known",
       kEncrypted,
       {{"encrypted_config", "on"}},
       [](auto& p) { p.lsc_key = Key::kUnknown; },
       {}},
      {"encrypted files, an EC key that is scheduled",
       kEncrypted,
       {{"encrypted_config", "on"}},
       [](auto& p) { p.ec_open = true; },
       {Reason::kEncryptedConfigNeedsRsa}},
      {"an EC key that is scheduled without encrypted files", kEncrypted, {}, [](auto& p) { p.ec_open = true; }, {}},
      {"EC without encrypted files", kEncrypted, {}, [](auto& p) { p.lsc_key = Key::kEc; }, {}},

      {"settings off while a string is awaited",
       kNonsecure,
       {{"settings_access", "off"}},
       [](auto& p) { p.string_open = true; },
       {Reason::kStringCannotBeTyped}},
      {"settings off while none is", kNonsecure, {{"settings_access", "off"}}, nothing, {}},
      {"settings restricted while a string is awaited",
       kNonsecure,
       {{"settings_access", "restricted"}},
       [](auto& p) { p.string_open = true; },
       {}},

      {"a model of the profile", kNonsecure, {{"models", "CP-88*"}}, nothing, {}},
      {"another model", kNonsecure, {{"models", "CP-78*"}}, nothing, {Reason::kModelCannot}},
      {"no known model for a profile of some", kNonsecure, {{"models", "CP-78*"}}, unknown_model, {}, 1},
      {"no known model for a profile of all", kNonsecure, {{"encrypted_config", "on"}}, unknown_model, {}},
      {"encrypted files on a 7960", kNonsecure, {{"encrypted_config", "on"}}, a_7960, {Reason::kModelCannot}},
      {"credentials to be typed on a 7960", kNonsecure, {{"exclude_digest_credentials", "on"}}, a_7960, {}},
      {"credentials to be typed on a 8861", kNonsecure, {{"exclude_digest_credentials", "on"}}, nothing, {}, 1},
      {"the voice VLAN behind a 7912", kNonsecure, {{"pc_voice_vlan_access", "off"}}, a_7912, {}, 1},
      {"the voice VLAN behind an 8861", kNonsecure, {{"pc_voice_vlan_access", "off"}}, nothing, {}},
  };
  for (const PhoneRow& row : rows) {
    CAPTURE(row.words);
    PhoneAbilities phone = good_phone();
    row.change(phone);
    const Findings findings = check_combination(row.mode, of_profile(row.profile), phone);
    CHECK(reasons_of(findings) == row.refusals);
    CHECK(findings.warnings.size() == row.warnings);
    for (const Error& refusal : findings.refusals) CHECK_THAT(refusal.message, Catch::Contains(phone.device));
  }
}

TEST_CASE("the models that can open encrypted files are those with certificates") {
  const auto refused = [](const char* model) {
    PhoneAbilities phone = good_phone();
    phone.model = model;
    return !check_combination(kNonsecure, of_profile({{"encrypted_config", "on"}}), phone).refusals.empty();
  };
  for (const char* can : {"CP-7906", "CP-7911G", "CP-7941", "7942", "Cisco 7970", "CP 7975G", "CP-6921", "CP-7821",
                          "CP-8841-K9", "CP-8861", "CP-8945", "CP-9971", "CSF", "ATA-191", "DEMO", "Snom 7940x", ""}) {
    CAPTURE(can);
    CHECK_FALSE(refused(can));
  }
  for (const char* cannot : {"CP-7902", "CP-7905G", "CP-7910", "CP-7912", "CP-7920", "CP-7935", "CP-7936", "CP-7940G",
                             "Cisco 7960", "7960", "CP 7940", "CP-3905"}) {
    CAPTURE(cannot);
    CHECK(refused(cannot));
  }
}

TEST_CASE("null string in a secure profile and secrets in the clear are an admin's to decide") {
  SitePolicy site;
  const auto decisions = [&](DeviceMode mode, const Settings& profile, const Settings& phone, Owner owner) {
    return admins_decisions(mode, effective_settings(site, profile, phone), owner).size();
  };
  CHECK(decisions(kEncrypted, {{"auth", "null"}}, {}, Owner::kProfile) == 1);
  CHECK(decisions(kAuthenticated, {}, {{"auth", "null"}}, Owner::kPhone) == 1);
  CHECK(decisions(kNonsecure, {{"auth", "null"}}, {{"auth", "null"}}, Owner::kPhone) == 0);
  CHECK(decisions(kEncrypted, {{"auth", "null"}}, {}, Owner::kPhone) == 0);  // the profile's was decided before
  CHECK(decisions(kEncrypted, {{"auth", "mic"}}, {}, Owner::kProfile) == 0);
  CHECK(decisions(kNonsecure, {{"allow_secrets_in_clear", "on"}}, {}, Owner::kProfile) == 1);
  CHECK(decisions(kEncrypted, {{"allow_secrets_in_clear", "on"}, {"auth", "null"}}, {}, Owner::kProfile) == 2);
  CHECK(decisions(kNonsecure, {{"allow_secrets_in_clear", "off"}}, {}, Owner::kProfile) == 0);
  site.settings = {{"auth", "null"}};
  CHECK(decisions(kEncrypted, {}, {}, Owner::kProfile) == 0);
}

TEST_CASE("what values cost people is told in words") {
  const std::map<std::string, std::string> costly{{"auth", "null"},
                                                  {"renewal", "scheduled"},
                                                  {"digest", "on"},
                                                  {"file_digest", "sha512"},
                                                  {"capf_always", "on"},
                                                  {"allow_mic", "on"},
                                                  {"allow_secrets_in_clear", "on"},
                                                  {"pc_port", "off"},
                                                  {"settings_access", "off"},
                                                  {"gratuitous_arp", "ignore"},
                                                  {"pc_voice_vlan_access", "off"},
                                                  {"web_access", "off"}};
  for (const PhoneSetting& setting : phone_settings()) {
    for (const std::string& word : setting.form.words) {
      CAPTURE(setting.name, word);
      const auto told = consequences(kNonsecure, of_profile({{setting.name, word}}));
      const auto row = costly.find(setting.name);
      const bool costs = row != costly.end() && row->second == word;
      REQUIRE(told.size() == (costs ? 1 : 0));
      if (costs) CHECK_THAT(told.front(), Catch::StartsWith(setting.name + " " + word + ": "));
    }
  }
  CHECK(consequences(kAuthenticated, of_profile({})).size() == 1);
  CHECK(consequences(kEncrypted, of_profile({})).empty());
}
