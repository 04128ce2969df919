#include "capf/domain/setting.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "capf/base/endpoint.h"
#include "capf/domain/policy.h"

namespace capf {
namespace {

constexpr int kMinutesOfDay = 24 * 60;
constexpr std::size_t kLongestCapfHost = 50;  // what a phone's file has room for

using Kind = ValueForm::Kind;

ValueForm choice(std::vector<std::string> words) { return {.kind = Kind::kChoice, .words = std::move(words)}; }
ValueForm on_off() { return choice({"on", "off"}); }
ValueForm number(int least, int most) { return {.kind = Kind::kNumber, .least = least, .most = most}; }
ValueForm sizes(std::vector<std::string> words) { return {.kind = Kind::kNumber, .words = std::move(words)}; }
ValueForm duration(int least, int most) { return {.kind = Kind::kDuration, .least = least, .most = most}; }

std::optional<int> parse_number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

/// 0 for what is no unit.
int minutes_of(char unit) {
  switch (unit) {
    case 'd': return kMinutesOfDay;
    case 'h': return 60;
    case 'm': return 1;
    default: return 0;
  }
}

/// In minutes; more than `most` is cut to one more than it.
std::optional<int> parse_duration(std::string_view text, int most) {
  if (text.empty() || minutes_of(text.back()) == 0) return std::nullopt;
  const auto count = parse_number(text.substr(0, text.size() - 1));
  if (!count) return std::nullopt;
  return static_cast<int>(std::min<std::int64_t>(std::int64_t{*count} * minutes_of(text.back()), most + 1));
}

std::string duration_text(int minutes) {
  for (const char unit : {'d', 'h'}) {
    if (minutes % minutes_of(unit) == 0) return std::to_string(minutes / minutes_of(unit)) + unit;
  }
  return std::to_string(minutes) + "m";
}

/// The parts between the commas; one for an empty text.
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

}  // namespace

std::optional<CapfHost> parse_capf_host(std::string_view text, std::uint16_t port) {
  CapfHost found{.host = {}, .port = port};
  const bool bracketed = text.starts_with('[');
  const std::size_t colon = bracketed ? text.find("]:") + 1 : text.find(':');
  const bool has_port = bracketed || (colon != text.npos && text.find(':', colon + 1) == text.npos);
  found.host = text.substr(bracketed ? 1 : 0, has_port ? colon - (bracketed ? 2 : 0) : text.npos);
  if (bracketed && (colon == 0 || found.host.find(':') == std::string::npos)) return std::nullopt;
  if (!is_host(found.host) || found.host.size() > kLongestCapfHost) return std::nullopt;
  if (!has_port) return found;
  const auto given = parse_number(text.substr(colon + 1));
  if (!given || *given < 1 || *given > 65535) return std::nullopt;
  found.port = static_cast<std::uint16_t>(*given);
  return found;
}

std::string to_string(const CapfHost& host) {
  const bool ipv6 = host.host.find(':') != std::string::npos;
  return (ipv6 ? "[" + host.host + "]" : host.host) + ":" + std::to_string(host.port);
}

namespace {

std::optional<std::string> parse_hosts(std::string_view text) {
  std::vector<std::string> seen;
  for (const std::string_view part : split(text)) {
    const auto host = parse_capf_host(part);
    if (!host) return std::nullopt;
    seen.push_back(to_string(*host));
  }
  if (seen.size() > kMostCapfHosts || std::set<std::string>(seen.begin(), seen.end()).size() != seen.size()) {
    return std::nullopt;
  }
  std::string list;
  for (const std::string& host : seen) list += (list.empty() ? "" : ",") + host;
  return list;
}

/// "a, b or c"
std::string alternatives(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : &word == &words.back() ? " or " : ", ") + word;
  }
  return text;
}

/// A row of section 7 of the specification. A phone goes by it when it starts again.
PhoneSetting hardening(std::string name, std::string words, std::vector<std::string> values,
                       std::optional<std::string> fresh = {}) {
  return {.name = std::move(name),
          .words = std::move(words),
          .form = choice(std::move(values)),
          .broadest = Owner::kProfile,
          .phones = true,
          .reach = Reach::kRestart,
          .fresh = std::move(fresh)};
}

std::vector<PhoneSetting> identity_settings() {
  return {{.name = "models",
           .words = "the models that the profile is for, with * for any characters",
           .form = {.kind = Kind::kPattern},
           .broadest = Owner::kProfile,
           .phones = false,
           .reach = Reach::kServer,
           .otherwise = "*"},
          {.name = "protocol",
           .words = "the signalling of the phones",
           .form = choice({"any", "sip", "sccp"}),
           .broadest = Owner::kProfile,
           .phones = false,
           .reach = Reach::kServer,
           .otherwise = "any"},
          {.name = "transport",
           .words = "of SIP in a nonsecure profile; a secure one always has TLS",
           .form = choice({"tcp", "udp", "tcp+udp"}),
           .broadest = Owner::kProfile,
           .phones = true,
           .reach = Reach::kRestart,
           .otherwise = "tcp+udp"},
          {.name = "sip_port",
           .words = "the phone's own port, for SIP over UDP",
           .form = number(1, 65535),
           .broadest = Owner::kProfile,
           .phones = true,
           .reach = Reach::kRestart,
           .otherwise = "5060"}};
}

std::vector<PhoneSetting> certificate_settings() {
  return {{.name = "auth",
           .words = "how a phone proves who it is, where the command that schedules does not say: by authentication "
                    "string, by nothing, by its LSC or else its MIC, by its MIC or else its LSC",
           .form = choice({"string", "null", "lsc", "mic"}),
           .broadest = Owner::kSite,
           .phones = true,
           .reach = Reach::kFile,
           .otherwise = "string"},
          {.name = "key_order",
           .words = "the kind of key for an LSC: RSA alone, EC alone, or EC and else RSA",
           .form = choice({"rsa", "ec", "ec-rsa"}),
           .broadest = Owner::kSite,
           .phones = true,
           .reach = Reach::kServer,
           .otherwise = "rsa"},
          {.name = "rsa_bits",
           .words = "the size of an RSA key; 1024 only where allow_rsa_1024 is set",
           .form = sizes({"1024", "2048", "3072", "4096"}),
           .broadest = Owner::kSite,
           .phones = true,
           .reach = Reach::kServer,
           .otherwise = "2048"},
          {.name = "ec_bits",
           .words = "the size of an EC key",
           .form = sizes({"256", "384", "521"}),
           .broadest = Owner::kSite,
           .phones = true,
           .reach = Reach::kServer,
           .otherwise = "384"},
          {.name = "lsc_validity_days",
           .words = "the life of an LSC, never longer than the site's",
           .form = number(1, 1825),
           .broadest = Owner::kSite,
           .phones = true,
           .reach = Reach::kServer,
           .otherwise = "1825"},
          {.name = "lsc_subject",
           .words = "the subject of an LSC; cisco, with model and serial number, only where the site has it",
           .form = choice({"plain", "cisco"}),
           .broadest = Owner::kSite,
           .phones = true,
           .reach = Reach::kServer,
           .otherwise = "plain"},
          {.name = "completes_within",
           .words = "the time that a phone has for an operation, where the command that schedules does not say",
           .form = duration(1, 90 * kMinutesOfDay),
           .broadest = Owner::kSite,
           .phones = true,
           .reach = Reach::kServer,
           .otherwise = "10d"},
          {.name = "renewal",
           .words = "how an LSC is renewed before it ends: not at all, by the phone itself where self_service_upgrade "
                    "is set, or by an operation that the server schedules and a restart of the phone begins",
           .form = choice({"off", "phone", "scheduled"}),
           .broadest = Owner::kSite,
           .phones = true,
           .reach = Reach::kServer,
           .otherwise = "phone"},
          {.name = "renewal_from_percent",
           .words = "the share of an LSC's life from which it is renewed",
           .form = number(67, 95),
           .broadest = Owner::kSite,
           .phones = true,
           .reach = Reach::kServer,
           .otherwise = "67"}};
}

std::vector<PhoneSetting> file_settings() {
  return {{.name = "digest",
           .words = "whether the phone's file has its digest user's credentials",
           .form = on_off(),
           .broadest = Owner::kProfile,
           .phones = true,
           .reach = Reach::kRestart,
           .otherwise = "off"},
          {.name = "nonce_seconds",
           .words = "how long the SIP server's nonces are valid, in exports for it",
           .form = number(30, 3600),
           .broadest = Owner::kProfile,
           .phones = true,
           .reach = Reach::kServer,
           .otherwise = "600"},
          {.name = "exclude_digest_credentials",
           .words = "whether the file leaves the credentials out, because somebody types them on the phone",
           .form = on_off(),
           .broadest = Owner::kProfile,
           .phones = true,
           .reach = Reach::kRestart,
           .otherwise = "off"},
          {.name = "encrypted_config",
           .words = "whether the phone's file is encrypted for its RSA key",
           .form = on_off(),
           .broadest = Owner::kProfile,
           .phones = true,
           .reach = Reach::kRestart,
           .otherwise = "off"},
          {.name = "file_digest",
           .words = "the digest under which lists and files are signed for the phone; auto goes by its model",
           .form = choice({"auto", "sha1", "sha512"}),
           .broadest = Owner::kProfile,
           .phones = true,
           .reach = Reach::kFile,
           .otherwise = "auto"},
          {.name = "capf",
           .words = "the servers that issue LSCs, for the phone's file; without a value this site's own",
           .form = {.kind = Kind::kHosts},
           .broadest = Owner::kProfile,
           .phones = true,
           .reach = Reach::kFile},
          {.name = "capf_always",
           .words = "whether the file sends the phone to these servers at each start; off: while an operation is open",
           .form = on_off(),
           .broadest = Owner::kProfile,
           .phones = true,
           .reach = Reach::kFile,
           .otherwise = "off"},
          {.name = "allow_mic",
           .words = "whether a good MIC counts for a secure mode in place of an LSC",
           .form = on_off(),
           .broadest = Owner::kProfile,
           .phones = false,
           .reach = Reach::kServer,
           .otherwise = "off"},
          {.name = "allow_secrets_in_clear",
           .words = "whether passwords are in files that are not encrypted; for closed networks, and an admin's to set",
           .form = on_off(),
           .broadest = Owner::kProfile,
           .phones = false,
           .reach = Reach::kRestart,
           .otherwise = "off"}};
}

std::vector<PhoneSetting> hardening_settings() {
  const std::vector<std::string> on_or_off{"on", "off"};
  return {
      hardening("pc_port", "the port for a PC behind the phone", on_or_off),
      hardening("settings_access", "the settings menu of the phone", {"on", "restricted", "off"}, "restricted"),
      hardening("gratuitous_arp", "what becomes of ARP answers that nobody asked for", {"accept", "ignore"}, "ignore"),
      hardening("pc_voice_vlan_access", "whether a PC behind the phone reaches the voice VLAN", on_or_off, "off"),
      hardening("web_access", "the phone's own web pages", on_or_off, "off"),
      hardening("web_https_only", "whether those pages are on HTTPS alone", on_or_off),
      hardening("ssh_access", "the phone's SSH account", on_or_off, "off"),
      hardening("span_to_pc_port", "whether the phone's traffic is copied to the PC port", on_or_off, "off"),
      hardening("cdp_lldp_pc_port", "CDP and LLDP on the PC port", on_or_off, "off"),
      hardening("dot1x", "802.1X towards the switch; user: as set on the phone", {"user", "off", "on"}),
      hardening("peer_firmware", "whether phones hand firmware to each other", on_or_off),
      hardening("bluetooth", "Bluetooth", on_or_off),
      hardening("usb", "the USB ports", on_or_off)};
}

struct Limit {
  std::string_view name;
  bool (*allows)(const SitePolicy& site, const std::string& value);
  std::string (*words)(const SitePolicy& site);
};

std::int64_t validity_days(const SitePolicy& site) {
  return std::chrono::duration_cast<std::chrono::days>(site.lsc_validity).count();
}

/// The limits that the site sets to profiles and phones.
constexpr Limit kLimits[] = {
    {"lsc_validity_days",
     [](const SitePolicy& site, const std::string& value) { return std::stoi(value) <= validity_days(site); },
     [](const SitePolicy& site) { return "is at most the site's, " + std::to_string(validity_days(site)); }},
    {"lsc_subject",
     [](const SitePolicy& site, const std::string& value) {
       return value == "plain" || site.lsc_subject == SubjectForm::kCisco;
     },
     [](const SitePolicy&) { return std::string("is plain in this site (policy.lsc_subject)"); }},
    {"rsa_bits",
     [](const SitePolicy& site, const std::string& value) { return value != "1024" || site.allow_rsa_1024; },
     [](const SitePolicy&) { return std::string("is at least 2048 in this site (policy.allow_rsa_1024)"); }},
    {"renewal",
     [](const SitePolicy& site, const std::string& value) { return value != "phone" || site.self_service_upgrade; },
     [](const SitePolicy&) { return std::string("is off or scheduled in this site (policy.self_service_upgrade)"); }},
};

/// The limit that the value breaks, or null.
const Limit* broken_limit(const SitePolicy& site, std::string_view name, const std::string& value) {
  for (const Limit& limit : kLimits) {
    if (limit.name == name && !limit.allows(site, value)) return &limit;
  }
  return nullptr;
}

/// Whether a value on record counts: see effective_settings().
bool counts(const SitePolicy& site, const PhoneSetting& setting, Owner owner, const std::string& value) {
  return setting.may_have(owner) && setting.form.parse(value) == value &&
         broken_limit(site, setting.name, value) == nullptr;
}

tl::unexpected<Error> faulty(const std::vector<std::string>& faults) {
  std::string message;
  for (const std::string& fault : faults) message += (message.empty() ? "" : "; ") + fault;
  return fail(Reason::kInvalidSetting, std::move(message));
}

/// A setting's name as somebody wrote it, where it may be shown.
std::string shown_name(std::string_view name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; };
  const bool shown = !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), plain);
  return shown ? "'" + std::string(name) + "'" : "a name given";
}

/// The words of what is wrong with one value; else it is added to `settings`.
std::optional<std::string> fault_of(std::string_view name, std::string_view value, Owner owner, Settings& settings) {
  const PhoneSetting* setting = find_phone_setting(name);
  if (setting == nullptr) return shown_name(name) + " is no setting";
  if (!setting->may_have(owner)) {
    return setting->name + " is no setting of a " + std::string(to_string(owner)) + ", but of a " +
           std::string(to_string(Owner::kProfile));
  }
  auto canonical = setting->form.parse(value);
  if (!canonical) return setting->name + " is " + setting->form.range();
  if (!settings.emplace(name, *std::move(canonical)).second) return setting->name + " is given twice";
  return std::nullopt;
}

/// The enumerator of a choice: they are in the order of the words.
template <class Enum>
Enum chosen(std::string_view name, const std::string& value) {
  const std::vector<std::string>& words = find_phone_setting(name)->form.words;
  const auto found = std::find(words.begin(), words.end(), value);
  CAPF_INVARIANT(found != words.end());
  return static_cast<Enum>(found - words.begin());
}

}  // namespace

std::string_view to_string(Owner owner) {
  switch (owner) {
    case Owner::kSite: return "site";
    case Owner::kProfile: return "profile";
    case Owner::kPhone: return "phone";
  }
  CAPF_INVARIANT(false);
}

std::string ValueForm::range() const {
  switch (kind) {
    case Kind::kChoice: return alternatives(words);
    case Kind::kNumber:
      return words.empty() ? std::to_string(least) + " to " + std::to_string(most) : alternatives(words);
    case Kind::kDuration: return duration_text(least) + " to " + duration_text(most) + ", as 90m, 12h or 10d";
    case Kind::kPattern: return "a pattern such as CP-88*";
    case Kind::kHosts:
      return "up to " + std::to_string(kMostCapfHosts) + " times HOST or HOST:PORT, with commas between them";
  }
  CAPF_INVARIANT(false);
}

std::optional<std::string> ValueForm::parse(std::string_view text) const {
  const auto within = [this](std::optional<int> value) { return value && *value >= least && *value <= most; };
  switch (kind) {
    case Kind::kNumber:
      if (words.empty()) {
        const auto value = parse_number(text);
        return within(value) ? std::optional(std::to_string(*value)) : std::nullopt;
      }
      [[fallthrough]];
    case Kind::kChoice: {
      const auto found = std::find(words.begin(), words.end(), text);
      return found != words.end() ? std::optional(*found) : std::nullopt;
    }
    case Kind::kDuration: {
      const auto minutes = parse_duration(text, most);
      return within(minutes) ? std::optional(duration_text(*minutes)) : std::nullopt;
    }
    case Kind::kPattern: {
      const auto pattern = Pattern::parse(text);
      return pattern ? std::optional(pattern->text()) : std::nullopt;
    }
    case Kind::kHosts: return parse_hosts(text);
  }
  CAPF_INVARIANT(false);
}

bool PhoneSetting::may_have(Owner owner) const {
  return owner == Owner::kPhone ? phones : owner == Owner::kProfile || broadest == Owner::kSite;
}

const std::vector<PhoneSetting>& phone_settings() {
  static const std::vector<PhoneSetting> table = [] {
    std::vector<PhoneSetting> all;
    for (auto* part : {identity_settings, certificate_settings, file_settings, hardening_settings}) {
      for (PhoneSetting& setting : part()) all.push_back(std::move(setting));
    }
    return all;
  }();
  return table;
}

const PhoneSetting* find_phone_setting(std::string_view name) {
  const auto& table = phone_settings();
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const PhoneSetting& each) { return each.name == name; });
  return found == table.end() ? nullptr : &*found;
}

Result<Settings> parse_settings(std::span<const std::pair<std::string, std::string>> values, Owner owner) {
  Settings settings;
  std::vector<std::string> faults;
  if (values.size() > phone_settings().size())
    return fail(Reason::kInvalidSetting, "more values than there are settings");
  for (const auto& [name, value] : values) {
    if (auto fault = fault_of(name, value, owner, settings)) faults.push_back(*std::move(fault));
  }
  if (!faults.empty()) return faulty(faults);
  return settings;
}

Status check_limits(const Settings& settings, const SitePolicy& site) {
  std::vector<std::string> faults;
  for (const auto& [name, value] : settings) {
    if (const Limit* limit = broken_limit(site, name, value)) faults.push_back(name + " " + limit->words(site));
  }
  if (!faults.empty()) return faulty(faults);
  return {};
}

Settings fresh_profile_settings() {
  Settings settings;
  for (const PhoneSetting& setting : phone_settings()) {
    if (setting.fresh) settings.emplace(setting.name, *setting.fresh);
  }
  return settings;
}

Settings site_settings(const SitePolicy& policy) {
  Settings settings;
  for (const PhoneSetting& setting : phone_settings()) {
    const auto own = policy.settings.find(setting.name);
    if (own != policy.settings.end() && counts(policy, setting, Owner::kSite, own->second)) {
      settings.insert(*own);
    } else if (setting.otherwise) {
      settings.emplace(setting.name, *setting.otherwise);
    }
  }
  settings["lsc_validity_days"] = std::to_string(validity_days(policy));
  settings["lsc_subject"] = policy.lsc_subject == SubjectForm::kCisco ? "cisco" : "plain";
  if (settings["renewal"] == "phone" && !policy.self_service_upgrade) settings["renewal"] = "off";
  return settings;
}

EffectiveSettings effective_settings(const SitePolicy& site, const Settings& profile, const Settings& phone) {
  EffectiveSettings effective;
  for (auto& [name, value] : site_settings(site)) effective.values_[name] = {value, Owner::kSite};
  const auto lay_over = [&](const Settings& settings, Owner owner) {
    for (const auto& [name, value] : settings) {
      const PhoneSetting* setting = find_phone_setting(name);
      if (setting != nullptr && counts(site, *setting, owner, value)) effective.values_[name] = {value, owner};
    }
  };
  lay_over(profile, Owner::kProfile);
  lay_over(phone, Owner::kPhone);
  return effective;
}

std::vector<const PhoneSetting*> differences(const EffectiveSettings& before, const EffectiveSettings& after) {
  std::vector<const PhoneSetting*> found;
  for (const PhoneSetting& setting : phone_settings()) {
    const Effective* was = before.find(setting.name);
    const Effective* is = after.find(setting.name);
    const bool same = was == nullptr || is == nullptr ? was == is : was->value == is->value;
    if (!same) found.push_back(&setting);
  }
  return found;
}

const Effective* EffectiveSettings::find(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? nullptr : &found->second;
}

const std::string& EffectiveSettings::value(std::string_view name) const {
  const Effective* found = find(name);
  CAPF_INVARIANT(found != nullptr);
  return found->value;
}

Pattern EffectiveSettings::models() const { return Pattern::parse(value("models")).value(); }
Protocol EffectiveSettings::protocol() const { return chosen<Protocol>("protocol", value("protocol")); }
Transport EffectiveSettings::transport() const { return chosen<Transport>("transport", value("transport")); }
int EffectiveSettings::sip_port() const { return std::stoi(value("sip_port")); }
AuthMode EffectiveSettings::auth() const { return parse_auth_mode(value("auth")).value(); }
KeyPolicy EffectiveSettings::key() const {
  return {.order = parse_key_order(value("key_order")).value(),
          .rsa_bits = std::stoi(value("rsa_bits")),
          .ec_bits = std::stoi(value("ec_bits"))};
}
std::chrono::hours EffectiveSettings::lsc_validity() const {
  return std::chrono::days{std::stoi(value("lsc_validity_days"))};
}
SubjectForm EffectiveSettings::lsc_subject() const { return chosen<SubjectForm>("lsc_subject", value("lsc_subject")); }
std::chrono::minutes EffectiveSettings::completes_within() const {
  const PhoneSetting& setting = *find_phone_setting("completes_within");
  return std::chrono::minutes{parse_duration(value(setting.name), setting.form.most).value()};
}
Renewal EffectiveSettings::renewal() const { return chosen<Renewal>("renewal", value("renewal")); }
int EffectiveSettings::renewal_from_percent() const { return std::stoi(value("renewal_from_percent")); }
bool EffectiveSettings::digest() const { return is_on("digest"); }
std::chrono::seconds EffectiveSettings::nonce_validity() const {
  return std::chrono::seconds{std::stoi(value("nonce_seconds"))};
}
bool EffectiveSettings::exclude_digest_credentials() const { return is_on("exclude_digest_credentials"); }
bool EffectiveSettings::encrypted_config() const { return is_on("encrypted_config"); }
FileDigest EffectiveSettings::file_digest() const { return chosen<FileDigest>("file_digest", value("file_digest")); }
std::vector<CapfHost> EffectiveSettings::capf() const {
  std::vector<CapfHost> hosts;
  if (const Effective* found = find("capf")) {
    for (const std::string_view part : split(found->value)) hosts.push_back(parse_capf_host(part).value());
  }
  return hosts;
}
bool EffectiveSettings::capf_always() const { return is_on("capf_always"); }
bool EffectiveSettings::allow_mic() const { return is_on("allow_mic"); }
bool EffectiveSettings::allow_secrets_in_clear() const { return is_on("allow_secrets_in_clear"); }

}  // namespace capf
