#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/domain/hardening.h"
#include "capf/domain/policy.h"
#include "capf/domain/setting.h"

using namespace capf;

namespace {

using Values = std::vector<std::pair<std::string, std::string>>;
using Texts = std::vector<std::string>;

/// The value as a profile has it, or nothing where it is refused.
std::optional<std::string> read(const std::string& name, const std::string& value) {
  const auto settings = parse_settings(Values{{name, value}}, Owner::kProfile);
  if (!settings) return std::nullopt;
  return settings->at(name);
}

EffectiveSettings of_profile(const Settings& profile, const SitePolicy& site = {}) {
  return effective_settings(site, profile, {});
}

struct ValueRow {
  std::string name;
  std::map<std::string, std::string> good;  ///< as written, as read
  Texts bad;
};

/// Words that are read as they are written, and what is none of them.
ValueRow words(std::string name, const Texts& good, Texts bad = {}) {
  ValueRow row{std::move(name), {}, std::move(bad)};
  for (const std::string& word : good) row.good.emplace(word, word);
  for (const char* none : {"", "On", "true", " on", "off "}) row.bad.emplace_back(none);
  return row;
}

const std::vector<ValueRow>& value_rows() {
  static const std::vector<ValueRow> rows{
      {"models",
       {{"*", "*"}, {"CP-88*", "CP-88*"}, {"CP-8861", "CP-8861"}},
       {"", "CP 8861", "CP-88?", std::string(65, 'A'), "CP-88*,CP-78*"}},
      words("protocol", {"any", "sip", "sccp"}, {"SIP", "h323"}),
      words("transport", {"tcp", "udp", "tcp+udp"}, {"tls", "udp+tcp", "TCP"}),
      {"sip_port",
       {{"1", "1"}, {"5060", "5060"}, {"65535", "65535"}, {"05060", "5060"}},
       {"", "0", "65536", "-1", "+5060", "5060 ", "0x10", "99999999999", "5060.0"}},
      words("auth", {"string", "null", "lsc", "mic"}, {"by string", "LSC", "1"}),
      words("key_order", {"rsa", "ec", "ec-rsa"}, {"rsa-ec", "EC"}),
      words("rsa_bits", {"1024", "2048", "3072", "4096"}, {"512", "2047", "02048", "8192", "-2048"}),
      words("ec_bits", {"256", "384", "521"}, {"512", "224"}),
      {"lsc_validity_days", {{"1", "1"}, {"1825", "1825"}}, {"0", "1826", "1d", ""}},
      words("lsc_subject", {"plain", "cisco"}, {"Cisco"}),
      {"completes_within",
       {{"1m", "1m"}, {"90m", "90m"}, {"60m", "1h"}, {"1440m", "1d"}, {"36h", "36h"}, {"90d", "90d"}, {"2160h", "90d"}},
       {"", "0m", "0d", "91d", "2161h", "129601m", "10", "10s", "10D", "-1d", "d", "1d2h", "1.5d", "99999999999d",
        "2147483647d"}},
      words("renewal", {"off", "phone", "scheduled"}),
      {"renewal_from_percent", {{"67", "67"}, {"95", "95"}}, {"66", "96", "70%", ""}},
      words("digest", {"on", "off"}),
      {"nonce_seconds", {{"30", "30"}, {"3600", "3600"}}, {"29", "3601", "10m"}},
      words("exclude_digest_credentials", {"on", "off"}),
      words("encrypted_config", {"on", "off"}),
      words("file_digest", {"auto", "sha1", "sha512"}, {"sha256", "SHA1"}),
      {"capf",
       {{"capf.example", "capf.example:3804"},
        {"capf.example:13804", "capf.example:13804"},
        {"192.0.2.1", "192.0.2.1:3804"},
        {"2001:db8::1", "[2001:db8::1]:3804"},
        {"[2001:db8::1]:3805", "[2001:db8::1]:3805"},
        {"a.example,b.example:1,c.example,d.example,e.example:65535",
         "a.example:3804,b.example:1,c.example:3804,d.example:3804,e.example:65535"}},
       {"",
        ",",
        "a.example,",
        "a.example,,b.example",
        "a.example, b.example",
        "a.example,a.example:3804",
        "a.example:0",
        "a.example:65536",
        "a.example:",
        ":3804",
        "a b",
        "a_b",
        "[a.example]:1",
        "[::1]",
        "[::1",
        "[",
        "[]:1",
        "]:1",
        "fe80::1%eth0",
        "http://a.example",
        "a.example/x",
        std::string(51, 'a'),
        "a.example,b.example,c.example,d.example,e.example,f.example",
        "<script>"}},
      words("capf_always", {"on", "off"}, {"1"}),
      words("allow_mic", {"on", "off"}),
      words("allow_secrets_in_clear", {"on", "off"}),
      words("pc_port", {"on", "off"}, {"0", "1"}),
      words("settings_access", {"on", "restricted", "off"}, {"2"}),
      words("gratuitous_arp", {"accept", "ignore"}, {"on"}),
      words("pc_voice_vlan_access", {"on", "off"}),
      words("web_access", {"on", "off"}, {"read-only"}),
      words("web_https_only", {"on", "off"}),
      words("ssh_access", {"on", "off"}),
      words("span_to_pc_port", {"on", "off"}),
      words("cdp_lldp_pc_port", {"on", "off"}),
      words("dot1x", {"user", "on", "off"}),
      words("peer_firmware", {"on", "off"}),
      words("bluetooth", {"on", "off"}),
      words("usb", {"on", "off"}),
  };
  return rows;
}

}  // namespace

TEST_CASE("each setting takes its own values, in one spelling, and no others") {
  for (const ValueRow& row : value_rows()) {
    CAPTURE(row.name);
    REQUIRE(find_phone_setting(row.name) != nullptr);
    for (const auto& [written, expected] : row.good) {
      CAPTURE(written);
      CHECK(read(row.name, written) == expected);
      CHECK(read(row.name, expected) == expected);
    }
    for (const std::string& value : row.bad) {
      CAPTURE(value);
      CHECK_FALSE(read(row.name, value));
    }
  }
}

TEST_CASE("the table has the settings of the specification, each with words and a default of its own form") {
  std::set<std::string> tested;
  for (const ValueRow& row : value_rows()) tested.insert(row.name);
  for (const PhoneSetting& setting : phone_settings()) {
    CAPTURE(setting.name);
    CHECK(tested.erase(setting.name) == 1);
    CHECK(setting.words.size() > 5);
    CHECK_FALSE(setting.form.range().empty());
    if (setting.otherwise) CHECK(setting.form.parse(*setting.otherwise) == setting.otherwise);
    if (setting.fresh) CHECK(setting.form.parse(*setting.fresh) == setting.fresh);
  }
  CHECK(tested.empty());
}

TEST_CASE("the words of a form name its values") {
  const auto range = [](const char* name) { return find_phone_setting(name)->form.range(); };
  CHECK(range("auth") == "string, null, lsc or mic");
  CHECK(range("digest") == "on or off");
  CHECK(range("nonce_seconds") == "30 to 3600");
  CHECK(range("rsa_bits") == "1024, 2048, 3072 or 4096");
  CHECK(range("completes_within") == "1m to 90d, as 90m, 12h or 10d");
}

TEST_CASE("each owner has its settings") {
  const std::set<std::string> of_site{"auth",
                                      "key_order",
                                      "rsa_bits",
                                      "ec_bits",
                                      "lsc_subject",
                                      "completes_within",
                                      "renewal",
                                      "renewal_from_percent",
                                      "lsc_validity_days"};
  const std::set<std::string> not_of_phone{"models", "protocol", "allow_mic", "allow_secrets_in_clear"};
  for (const PhoneSetting& setting : phone_settings()) {
    CAPTURE(setting.name);
    CHECK(setting.may_have(Owner::kSite) == of_site.contains(setting.name));
    CHECK(setting.may_have(Owner::kProfile));
    CHECK(setting.may_have(Owner::kPhone) == !not_of_phone.contains(setting.name));
  }
}

TEST_CASE("every fault of an administrator's values is told, and nothing is kept") {
  const auto settings = parse_settings(
      Values{{"auth", "sting"}, {"pc_prt", "off"}, {"models", "*"}, {"usb", "off"}, {"usb", "on"}, {"a\nb", "1"}},
      Owner::kPhone);
  REQUIRE_FALSE(settings);
  CHECK(settings.error().reason == Reason::kInvalidSetting);
  CHECK(settings.error().message ==
        "auth is string, null, lsc or mic; 'pc_prt' is no setting; models is no setting of a phone, but of a profile; "
        "usb is given twice; a name given is no setting");
  CHECK(parse_settings({}, Owner::kPhone)->empty());
  CHECK_FALSE(parse_settings(Values(1000, {"usb", "on"}), Owner::kPhone));
  CHECK_FALSE(parse_settings(Values{{"mode", "encrypted"}}, Owner::kProfile));
}

TEST_CASE("a profile goes no further than its site") {
  SitePolicy wide;
  wide.allow_rsa_1024 = true;
  wide.lsc_subject = SubjectForm::kCisco;
  SitePolicy narrow;
  narrow.lsc_validity = std::chrono::days{365};
  narrow.self_service_upgrade = false;
  const Settings greedy{
      {"lsc_validity_days", "366"}, {"lsc_subject", "cisco"}, {"rsa_bits", "1024"}, {"renewal", "phone"}};
  CHECK(check_limits(greedy, wide));
  const Status refused = check_limits(greedy, narrow);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().reason == Reason::kInvalidSetting);
  CHECK(refused.error().message ==
        "lsc_subject is plain in this site (policy.lsc_subject); lsc_validity_days is at most the site's, 365; "
        "renewal is off or scheduled in this site (policy.self_service_upgrade); "
        "rsa_bits is at least 2048 in this site (policy.allow_rsa_1024)");
  CHECK(check_limits({{"lsc_validity_days", "365"}, {"lsc_subject", "plain"}, {"rsa_bits", "2048"}, {"renewal", "off"}},
                     narrow));
}

TEST_CASE("the site has a value of every setting but those that its own files have") {
  const Settings settings = site_settings({});
  const std::set<std::string> of_files{"capf",
                                       "pc_port",
                                       "settings_access",
                                       "gratuitous_arp",
                                       "pc_voice_vlan_access",
                                       "web_access",
                                       "web_https_only",
                                       "ssh_access",
                                       "span_to_pc_port",
                                       "cdp_lldp_pc_port",
                                       "dot1x",
                                       "peer_firmware",
                                       "bluetooth",
                                       "usb"};
  for (const PhoneSetting& setting : phone_settings()) {
    CAPTURE(setting.name);
    CHECK(settings.contains(setting.name) != of_files.contains(setting.name));
  }
}

TEST_CASE("the site's values come from its policy") {
  SitePolicy policy;
  policy.lsc_validity = std::chrono::days{100};
  policy.lsc_subject = SubjectForm::kCisco;
  policy.settings = {{"auth", "mic"}, {"completes_within", "2d"}, {"rsa_bits", "1024"}, {"usb", "off"}};
  Settings settings = site_settings(policy);
  CHECK(settings.at("lsc_validity_days") == "100");
  CHECK(settings.at("lsc_subject") == "cisco");
  CHECK(settings.at("auth") == "mic");
  CHECK(settings.at("completes_within") == "2d");
  CHECK(settings.at("rsa_bits") == "2048");
  CHECK_FALSE(settings.contains("usb"));
  CHECK(settings.at("renewal") == "phone");
  policy.self_service_upgrade = false;
  CHECK(site_settings(policy).at("renewal") == "off");
  policy.settings["renewal"] = "scheduled";
  CHECK(site_settings(policy).at("renewal") == "scheduled");
}

TEST_CASE("the phone's value is in effect, else its profile's, else the site's") {
  SitePolicy site;
  site.settings = {{"auth", "lsc"}};
  const auto auth = [&](const Settings& profile, const Settings& phone) {
    return *effective_settings(site, profile, phone).find("auth");
  };
  CHECK(auth({}, {}) == Effective{"lsc", Owner::kSite});
  CHECK(auth({{"auth", "mic"}}, {}) == Effective{"mic", Owner::kProfile});
  CHECK(auth({}, {{"auth", "null"}}) == Effective{"null", Owner::kPhone});
  CHECK(auth({{"auth", "mic"}}, {{"auth", "null"}}) == Effective{"null", Owner::kPhone});
  CHECK(auth({{"auth", "lsc"}}, {}) == Effective{"lsc", Owner::kProfile});
  CHECK(of_profile({}).find("usb") == nullptr);
  CHECK(of_profile({}).find("no_such") == nullptr);
  CHECK(to_string(Owner::kSite) == "site");
  CHECK(to_string(Owner::kProfile) == "profile");
  CHECK(to_string(Owner::kPhone) == "phone");
}

TEST_CASE("a value on record that does not count leaves the next owner's in effect") {
  SitePolicy site;
  site.lsc_validity = std::chrono::days{365};
  const auto effective = effective_settings(
      site, {{"lsc_validity_days", "300"}, {"auth", "retina"}, {"of_a_later_version", "on"}, {"rsa_bits", "1024"}},
      {{"lsc_validity_days", "400"}, {"allow_mic", "on"}, {"completes_within", "1440m"}});
  CHECK(*effective.find("lsc_validity_days") == Effective{"300", Owner::kProfile});
  CHECK(*effective.find("auth") == Effective{"string", Owner::kSite});
  CHECK(effective.find("of_a_later_version") == nullptr);
  CHECK(effective.key().rsa_bits == 2048);
  CHECK_FALSE(effective.allow_mic());
  CHECK(effective.completes_within() == kDefaultDeadline);
}

TEST_CASE("without any value the site is as it always was") {
  const EffectiveSettings settings = of_profile({});
  CHECK(settings.models() == Pattern::any());
  CHECK(settings.protocol() == Protocol::kAny);
  CHECK(settings.transport() == Transport::kBoth);
  CHECK(settings.sip_port() == 5060);
  CHECK(settings.auth() == AuthMode::kString);
  CHECK(settings.key() == KeyPolicy{});
  CHECK(settings.lsc_validity() == SitePolicy{}.lsc_validity);
  CHECK(settings.lsc_subject() == SubjectForm::kPlain);
  CHECK(settings.completes_within() == kDefaultDeadline);
  CHECK(settings.renewal() == Renewal::kPhone);
  CHECK(settings.renewal_from_percent() == 67);
  CHECK(settings.nonce_validity() == std::chrono::seconds{600});
  CHECK(settings.file_digest() == FileDigest::kAuto);
  CHECK(settings.capf().empty());
  CHECK_FALSE(settings.digest());
  CHECK_FALSE(settings.exclude_digest_credentials());
  CHECK_FALSE(settings.encrypted_config());
  CHECK_FALSE(settings.capf_always());
  CHECK_FALSE(settings.allow_mic());
  CHECK_FALSE(settings.allow_secrets_in_clear());
}

TEST_CASE("the server reads each value as what it means") {
  SitePolicy site;
  site.lsc_subject = SubjectForm::kCisco;
  const auto with = [&](const std::string& name, const std::string& value) {
    return effective_settings(site, {{name, value}}, {});
  };
  CHECK(with("models", "CP-88*").models().text() == "CP-88*");
  CHECK(with("protocol", "sip").protocol() == Protocol::kSip);
  CHECK(with("protocol", "sccp").protocol() == Protocol::kSccp);
  CHECK(with("transport", "tcp").transport() == Transport::kTcp);
  CHECK(with("transport", "udp").transport() == Transport::kUdp);
  CHECK(with("sip_port", "5080").sip_port() == 5080);
  CHECK(with("auth", "null").auth() == AuthMode::kNull);
  CHECK(with("auth", "lsc").auth() == AuthMode::kLsc);
  CHECK(with("auth", "mic").auth() == AuthMode::kMic);
  CHECK(with("key_order", "ec").key().order == KeyOrder::kEc);
  CHECK(with("key_order", "ec-rsa").key().order == KeyOrder::kEcRsa);
  CHECK(with("rsa_bits", "3072").key().rsa_bits == 3072);
  CHECK(with("ec_bits", "521").key().ec_bits == 521);
  CHECK(with("lsc_validity_days", "10").lsc_validity() == std::chrono::hours{240});
  CHECK(with("lsc_subject", "plain").lsc_subject() == SubjectForm::kPlain);
  CHECK(with("lsc_subject", "cisco").lsc_subject() == SubjectForm::kCisco);
  CHECK(with("completes_within", "36h").completes_within() == std::chrono::hours{36});
  CHECK(with("completes_within", "90m").completes_within() == std::chrono::minutes{90});
  CHECK(with("renewal", "off").renewal() == Renewal::kOff);
  CHECK(with("renewal", "scheduled").renewal() == Renewal::kScheduled);
  CHECK(with("renewal_from_percent", "80").renewal_from_percent() == 80);
  CHECK(with("digest", "on").digest());
  CHECK(with("nonce_seconds", "30").nonce_validity() == std::chrono::seconds{30});
  CHECK(with("exclude_digest_credentials", "on").exclude_digest_credentials());
  CHECK(with("encrypted_config", "on").encrypted_config());
  CHECK(with("file_digest", "sha1").file_digest() == FileDigest::kSha1);
  CHECK(with("file_digest", "sha512").file_digest() == FileDigest::kSha512);
  CHECK(with("capf", "[2001:db8::1]:3805,a.example:3804").capf() ==
        std::vector<CapfHost>{{"2001:db8::1", 3805}, {"a.example", 3804}});
  CHECK(with("capf_always", "on").capf_always());
  CHECK(with("allow_mic", "on").allow_mic());
  CHECK(with("allow_secrets_in_clear", "on").allow_secrets_in_clear());
}

TEST_CASE("models that verify nothing else get SHA-1, unless somebody has decided") {
  for (const char* model : {"CP-7941", "CP-7975G", "CP-8961", "Cisco 9971"}) {
    CHECK(file_digest_of(FileDigest::kAuto, model) == FileDigest::kSha1);
    CHECK(file_digest_of(FileDigest::kSha512, model) == FileDigest::kSha512);
  }
  for (const char* model : {"CP-8861", "CP-7821", "CP-6921", "", "softphone"}) {
    CHECK(file_digest_of(FileDigest::kAuto, model) == FileDigest::kSha512);
    CHECK(file_digest_of(FileDigest::kSha1, model) == FileDigest::kSha1);
  }
}

TEST_CASE("a new profile begins hardened") {
  CHECK(fresh_profile_settings() == Settings{{"settings_access", "restricted"},
                                             {"gratuitous_arp", "ignore"},
                                             {"pc_voice_vlan_access", "off"},
                                             {"web_access", "off"},
                                             {"ssh_access", "off"},
                                             {"span_to_pc_port", "off"},
                                             {"cdp_lldp_pc_port", "off"}});
}

TEST_CASE("hardening is written as phones read it, and where nobody decided it is not") {
  using Flags = std::vector<HardeningFlag>;
  const std::map<std::pair<std::string, std::string>, Flags> expected{
      {{"pc_port", "on"}, {{"pcPort", "0"}}},
      {{"pc_port", "off"}, {{"pcPort", "1"}}},
      {{"settings_access", "off"}, {{"settingsAccess", "0"}}},
      {{"settings_access", "on"}, {{"settingsAccess", "1"}}},
      {{"settings_access", "restricted"}, {{"settingsAccess", "2"}}},
      {{"gratuitous_arp", "accept"}, {{"garp", "0"}}},
      {{"gratuitous_arp", "ignore"}, {{"garp", "1"}}},
      {{"pc_voice_vlan_access", "on"}, {{"voiceVlanAccess", "0"}}},
      {{"pc_voice_vlan_access", "off"}, {{"voiceVlanAccess", "1"}}},
      {{"web_access", "on"}, {{"webAccess", "0"}}},
      {{"web_access", "off"}, {{"webAccess", "1"}}},
      {{"web_https_only", "on"}, {{"webProtocol", "1"}}},
      {{"web_https_only", "off"}, {{"webProtocol", "0"}}},
      {{"ssh_access", "on"}, {{"sshAccess", "0"}}},
      {{"ssh_access", "off"}, {{"sshAccess", "1"}}},
      {{"span_to_pc_port", "on"}, {{"spanToPCPort", "0"}}},
      {{"span_to_pc_port", "off"}, {{"spanToPCPort", "1"}}},
      {{"cdp_lldp_pc_port", "on"}, {{"enableCdpPcPort", "1"}, {"enableLldpPcPort", "1"}}},
      {{"cdp_lldp_pc_port", "off"}, {{"enableCdpPcPort", "0"}, {"enableLldpPcPort", "0"}}},
      {{"dot1x", "user"}, {{"eapAuthentication", "0"}}},
      {{"dot1x", "off"}, {{"eapAuthentication", "1"}}},
      {{"dot1x", "on"}, {{"eapAuthentication", "2"}}},
      {{"peer_firmware", "on"}, {{"peerFirmwareSharing", "1"}}},
      {{"peer_firmware", "off"}, {{"peerFirmwareSharing", "0"}}},
      {{"bluetooth", "on"}, {{"bluetooth", "1"}}},
      {{"bluetooth", "off"}, {{"bluetooth", "0"}}},
      {{"usb", "on"}, {{"usb1", "1"}, {"usb2", "1"}}},
      {{"usb", "off"}, {{"usb1", "0"}, {"usb2", "0"}}},
  };
  for (const PhoneSetting& setting : phone_settings()) {
    for (const std::string& word : setting.form.words) {
      CAPTURE(setting.name, word);
      const auto row = expected.find({setting.name, word});
      CHECK(hardening_flags(of_profile({{setting.name, word}})) == (row == expected.end() ? Flags{} : row->second));
    }
  }
  CHECK(hardening_flags(of_profile({})).empty());
  CHECK(hardening_flags(of_profile(fresh_profile_settings())).size() == 8);
}

TEST_CASE("settings differ by their values, and each says how far a change reaches") {
  const auto names = [](const Settings& before, const Settings& after) {
    Texts found;
    for (const PhoneSetting* each : differences(of_profile(before), of_profile(after))) found.push_back(each->name);
    return found;
  };
  CHECK(names({}, {}).empty());
  CHECK(names({}, {{"auth", "string"}}).empty());  // the owner alone is another one
  CHECK(names({}, {{"rsa_bits", "4096"}}) == Texts{"rsa_bits"});
  CHECK(names({{"usb", "off"}, {"auth", "mic"}}, {}) == Texts{"auth", "usb"});
  CHECK(names({{"usb", "off"}}, {{"usb", "on"}}) == Texts{"usb"});
  const auto reach = [](const char* name) { return find_phone_setting(name)->reach; };
  CHECK(reach("rsa_bits") == Reach::kServer);
  CHECK(reach("file_digest") == Reach::kFile);
  for (const char* name : {"transport", "digest", "encrypted_config", "pc_port", "usb"}) {
    CAPTURE(name);
    CHECK(reach(name) == Reach::kRestart);
  }
}
