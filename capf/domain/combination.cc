#include <algorithm>
#include <set>

#include "capf/domain/setting.h"

namespace capf {
namespace {

/// The number in a model of Cisco's: 8861 of "CP-8861", "Cisco 8861", "CP 7942G", "8861". Nothing for others, of which
/// nothing is known.
std::optional<int> model_number(std::string_view model) {
  for (const std::string_view prefix : {"Cisco", "CP"}) {
    if (!model.starts_with(prefix)) continue;
    model.remove_prefix(prefix.size());
    break;
  }
  if (model.starts_with('-') || model.starts_with(' ')) model.remove_prefix(1);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto digits = std::find_if_not(model.begin(), model.end(), is_digit) - model.begin();
  if (digits != 4) return std::nullopt;
  return std::stoi(std::string(model.substr(0, 4)));
}

/// Phones that hold certificates and open files made for them: 7906 and later, 6900, 7800, 8800, 8900, 9900. Those of
/// the 7900 series that came before have higher numbers too.
bool has_pki(int model) {
  static const std::set<int> kOlder{7910, 7912, 7920, 7935, 7936, 7940, 7960};
  static const std::set<int> kSeries{69, 78, 79, 88, 89, 99};
  return kSeries.contains(model / 100) && (model / 100 != 79 || model >= 7906) && !kOlder.contains(model);
}

/// Phones whose digest credentials can be typed.
bool excludes_digest(int model) { return model == 7905 || model == 7912 || model == 7940 || model == 7960; }

bool is_secure(DeviceMode mode) { return mode != DeviceMode::kNonsecure; }

bool has(const EffectiveSettings& settings, std::string_view name, std::string_view value) {
  const Effective* effective = settings.find(name);
  return effective != nullptr && effective->value == value;
}

/// Whether the profile or the phone has a value of its own.
bool is_set(const EffectiveSettings& settings, std::string_view name) {
  const Effective* effective = settings.find(name);
  return effective != nullptr && effective->from != Owner::kSite;
}

void refuse(Findings& findings, Reason reason, std::string words) {
  findings.refusals.push_back({reason, std::move(words)});
}

/// Looks for settings that the model cannot do. @param who "a CP-7940"
void check_model_can(Findings& findings, const EffectiveSettings& settings, std::string_view model,
                     const std::string& who) {
  const auto number = model_number(model);
  if (!number) return;
  if (settings.encrypted_config() && !has_pki(*number)) {
    refuse(findings, Reason::kModelCannot, who + " cannot open encrypted files (encrypted_config)");
  }
  if (settings.exclude_digest_credentials() && !excludes_digest(*number)) {
    findings.warnings.push_back("exclude_digest_credentials is for 7905, 7912, 7940 and 7960: on " + who +
                                " nobody can type the credentials");
  }
  if (*number == 7912 && has(settings, "pc_voice_vlan_access", "off")) {
    findings.warnings.push_back(who + " cannot keep its PC port out of the voice VLAN (pc_voice_vlan_access)");
  }
}

void check_transport(Findings& findings, DeviceMode mode, const EffectiveSettings& settings) {
  if (is_secure(mode) && is_set(settings, "transport")) {
    refuse(findings, Reason::kSettingsConflict,
           "transport is set, but a phone that is " + std::string(to_string(mode)) + " always has TLS");
  }
  const bool udp = !is_secure(mode) && settings.transport() != Transport::kTcp;
  if (is_set(settings, "sip_port") && (!udp || settings.protocol() == Protocol::kSccp)) {
    findings.warnings.push_back("sip_port counts for SIP over UDP alone, which these phones do not have");
  }
}

void check_encryption(Findings& findings, const EffectiveSettings& settings) {
  if (!settings.encrypted_config()) return;
  const KeyOrder order = settings.key().order;
  if (order == KeyOrder::kEc) {
    refuse(findings, Reason::kEncryptedConfigNeedsRsa,
           "encrypted_config needs phones with RSA keys, but key_order is ec");
  } else if (order == KeyOrder::kEcRsa) {
    findings.warnings.push_back(
        "with key_order ec-rsa, phones that make an EC key get no encrypted file: rsa is safer with encrypted_config");
  }
}

void check_certificate(Findings& findings, DeviceMode mode, const EffectiveSettings& settings,
                       const PhoneAbilities& phone) {
  const bool proves = phone.lsc == LscStatus::kValid || (settings.allow_mic() && phone.good_mic);
  if (!is_secure(mode) || proves || phone.install_open) return;
  const std::string lsc = phone.lsc == LscStatus::kNone ? "has no LSC" : "has no LSC that is valid";
  refuse(findings, Reason::kNoCertificate,
         phone.device + " " + lsc +
             ", and no operation that installs one; schedule it first: capfctl operation schedule install " +
             phone.device);
}

struct Consequence {
  std::string_view setting;
  std::string_view value;
  std::string_view words;
};

// The guides say these, but for those of auth, renewal, digest and the two overrides, which are about this product.
constexpr Consequence kConsequences[] = {
    {"auth", "null", "whoever comes first from an allowed network gets the LSC"},
    {"digest", "on", "phones without a digest user do not register"},
    {"renewal", "scheduled", "phones renew when somebody restarts them: see 'capfctl campaign watch renewal'"},
    {"file_digest", "sha512", "phones that do not know SHA-512 stop working with what is signed with it"},
    {"capf_always", "on", "all phones come to these servers at once after a power cut"},
    {"allow_mic", "on", "a phone without an LSC is secure by a certificate that its maker alone can revoke"},
    {"allow_secrets_in_clear", "on", "anybody on the network can read the passwords in the phones' files"},
    {"pc_port", "off", "a PC behind the phone has no network"},
    {"settings_access", "off", "the volume cannot be saved, and an authentication string cannot be typed"},
    {"gratuitous_arp", "ignore", "recording that redirects calls by ARP ends"},
    {"pc_voice_vlan_access", "off",
     "7940 and 7960 drop frames of the voice VLAN alone, 7970 every tagged frame, and 7912 cannot do it; sources "
     "disagree about this flag: look at a phone of each model first"},
    {"web_access", "off", "there is no quality report, and support has no pages to look at"},
};

}  // namespace

FileDigest file_digest_of(FileDigest setting, std::string_view model) {
  if (setting != FileDigest::kAuto) return setting;
  const std::set<int> series_with_sha1_alone{79, 89, 99};
  const bool old = series_with_sha1_alone.contains(model_number(model).value_or(0) / 100);
  return old ? FileDigest::kSha1 : FileDigest::kSha512;
}

Status Findings::status() const {
  if (refusals.empty()) return {};
  std::string message;
  for (const Error& refusal : refusals) message += (message.empty() ? "" : "; ") + refusal.message;
  return fail(refusals.front().reason, std::move(message));
}

Findings check_combination(DeviceMode mode, const EffectiveSettings& settings) {
  Findings findings;
  if (settings.digest() && settings.protocol() == Protocol::kSccp) {
    refuse(findings, Reason::kSettingsConflict, "digest is on, but protocol is sccp: digest authentication is SIP's");
  }
  check_transport(findings, mode, settings);
  check_encryption(findings, settings);
  if (has(settings, "settings_access", "off") && settings.auth() == AuthMode::kString) {
    findings.warnings.push_back(
        "auth is string, but with settings_access off no string can be typed: operations by string will be refused");
  }
  const std::string model = settings.models().text();
  if (model.find('*') == std::string::npos) check_model_can(findings, settings, model, "a " + model);
  return findings;
}

Findings check_combination(DeviceMode mode, const EffectiveSettings& settings, const PhoneAbilities& phone) {
  Findings findings;
  const std::string models = settings.models().text();
  const std::string who = phone.device + ", a " + phone.model + ",";
  if (phone.model.empty() && models != "*") {
    findings.warnings.push_back("the model of " + phone.device + " is not known, and the profile is for " + models);
  } else if (!phone.model.empty() && !settings.models().matches(phone.model)) {
    refuse(findings, Reason::kModelCannot, who + " is none of the models of the profile, " + models);
  }
  check_model_can(findings, settings, phone.model, who);
  const bool in_use = phone.lsc == LscStatus::kValid || phone.lsc == LscStatus::kHeld;
  if (settings.encrypted_config() && in_use && phone.lsc_key == PhoneAbilities::Key::kEc) {
    refuse(findings, Reason::kEncryptedConfigNeedsRsa,
           phone.device + " has an LSC with an EC key, for which no file can be encrypted (encrypted_config)");
  }
  if (settings.encrypted_config() && phone.ec_open) {
    refuse(
        findings, Reason::kEncryptedConfigNeedsRsa,
        "an operation of " + phone.device +
            " installs an LSC with an EC key, for which no file can be encrypted (encrypted_config); cancel it first");
  }
  if (has(settings, "settings_access", "off") && phone.string_open) {
    refuse(findings, Reason::kStringCannotBeTyped,
           "an operation of " + phone.device +
               " waits for an authentication string, which cannot be typed with settings_access off");
  }
  check_certificate(findings, mode, settings, phone);
  return findings;
}

std::vector<std::string> admins_decisions(DeviceMode mode, const EffectiveSettings& settings, Owner owner) {
  const auto decides = [&](std::string_view name, std::string_view value) {
    return has(settings, name, value) && settings.find(name)->from == owner;
  };
  std::vector<std::string> decisions;
  if (is_secure(mode) && decides("auth", "null")) decisions.emplace_back("null string in a secure profile (auth null)");
  if (decides("allow_secrets_in_clear", "on")) {
    decisions.emplace_back("passwords in files that are not encrypted (allow_secrets_in_clear on)");
  }
  return decisions;
}

std::vector<std::string> consequences(DeviceMode mode, const EffectiveSettings& settings) {
  std::vector<std::string> all;
  if (mode == DeviceMode::kAuthenticated) {
    all.emplace_back(
        "mode authenticated: an old mode, signed but not encrypted; call managers that allow AES-256-GCM alone do not "
        "register such phones");
  }
  for (const Consequence& each : kConsequences) {
    if (!has(settings, each.setting, each.value)) continue;
    all.push_back(std::string(each.setting) + " " + std::string(each.value) + ": " + std::string(each.words));
  }
  return all;
}

}  // namespace capf
