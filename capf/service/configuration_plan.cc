#include "capf/service/configuration_plan.h"

#include <utility>

#include "capf/domain/hardening.h"
#include "capf/files/signed_file.h"

namespace capf::service {

const std::string_view kConfigurationTemplate = R"(<?xml version="1.0" encoding="UTF-8"?>
<device>
<fullConfig>true</fullConfig>
<deviceProtocol>SIP</deviceProtocol>
<sipProfile>
<sipLines>
</sipLines>
</sipProfile>
<vendorConfig>
</vendorConfig>
</device>
)";

namespace {

/// Counts when the same facts make another file than before.
constexpr int kMaker = 1;
constexpr std::size_t kGenerationOctets = 16;

/// A hash of values, none of which can be taken for a part of its neighbour.
class Fingerprint {
 public:
  Fingerprint& add(std::string_view value) {
    text_ += std::to_string(value.size()) + ':';
    text_ += value;
    return *this;
  }
  Fingerprint& add(BytesView octets) { return add(std::string_view(to_hex(sha256(octets)))); }
  Fingerprint& add(std::int64_t number) { return add(std::string_view(std::to_string(number))); }
  Fingerprint& add(const CapfHost& host) { return add(std::string_view(host.host)).add(std::int64_t{host.port}); }
  std::string hex() const { return to_hex(BytesView(sha256(as_bytes(text_))).first(kGenerationOctets)); }

 private:
  std::string text_;
};

void add_source(const ConfigurationSource& source, const PhoneKey* signer, Fingerprint& print) {
  // A database that was restored beside running servers counts the same numbers again.
  print.add(std::int64_t{kMaker}).add(source.id).add(source.revision);
  print.add(std::int64_t{source.imported_at.time_since_epoch().count()});
  print.add(signer == nullptr ? BytesView() : BytesView(signer->certificate));
}

std::string generation_of(const ConfigurationFacts& facts, const EffectiveSettings& settings,
                          const ConfigurationPlan& plan, const PhoneKey* signer) {
  Fingerprint print;
  add_source(facts.source, signer, print);
  print.add(std::string_view(facts.device.text())).add(std::string_view(facts.model));
  for (const auto& [name, effective] : settings.all()) {
    print.add(std::string_view(name)).add(std::string_view(effective.value));
  }
  print.add(std::string_view("in effect")).add(static_cast<std::int64_t>(plan.mode.mode));
  print.add(plan.certificate ? BytesView(plan.certificate->der()) : BytesView());
  print.add(std::int64_t{plan.values.secrets}).add(std::int64_t{facts.mode.blocked});
  print.add(plan.values.capf_auth ? to_string(*plan.values.capf_auth) : std::string_view());
  for (const CapfHost& host : plan.values.capf) print.add(host);
  if (plan.values.tvs) {
    print.add(std::string_view("tvs"));
    for (const CapfHost& host : *plan.values.tvs) print.add(host);
  }
  if (plan.has_password) {
    print.add(facts.digest_user_id).add(std::string_view(facts.digest_user));
    print.add(std::int64_t{facts.digest_set_at.time_since_epoch().count()});
  }
  return print.hex();
}

/// Chooses the key that the file is encrypted for: the confirmed LSC's, unless it is revoked or on hold, else the
/// MIC's, unless that is blocked: somebody else may have its key.
void choose_key(const ConfigurationFacts& facts, ConfigurationPlan& plan) {
  const bool has_lsc = facts.mode.lsc == LscStatus::kValid || facts.mode.lsc == LscStatus::kExpired;
  const Bytes& der = has_lsc ? facts.lsc : facts.mic;
  const std::string whose = has_lsc ? "its LSC" : "its MIC";
  if (der.empty()) {
    plan.warnings.emplace_back(
        "encrypted_config is on, but no certificate of the phone is known: its file is not encrypted");
    return;
  }
  auto certificate = files::Certificate::read(der);
  if (!certificate || certificate->key_type() != ca::KeyType::kRsa) {
    plan.warnings.push_back("encrypted_config is on, but " + whose + " has no RSA key: its file is not encrypted");
    return;
  }
  plan.key = has_lsc ? ConfigurationPlan::Key::kLsc : ConfigurationPlan::Key::kMic;
  plan.certificate = *std::move(certificate);
}

void choose_capf(const ConfigurationFacts& facts, const EffectiveSettings& settings, const PhoneServers& servers,
                 files::ConfigurationValues& values) {
  if (facts.mode.blocked) return;
  values.capf_auth = facts.pending;
  if (!values.capf_auth && settings.capf_always()) values.capf_auth = settings.auth();
  values.capf = settings.capf();
  if (values.capf.empty()) values.capf.push_back(servers.capf);
}

void choose_digest(const ConfigurationFacts& facts, const EffectiveSettings& settings, ConfigurationPlan& plan) {
  plan.values.exclude_digest = settings.exclude_digest_credentials();
  if (!settings.digest()) return;
  if (facts.digest_user_id == 0) {
    plan.warnings.emplace_back("digest is on, but the phone has no digest user: it will not register");
  } else if (plan.values.exclude_digest) {
    plan.warnings.emplace_back("the digest credentials have to be typed on the phone");
  } else if (!facts.digest_password) {
    plan.warnings.push_back("only HA1s are kept of the password of " + facts.digest_user +
                            ": the file has no credentials");
  } else if (plan.values.secrets) {
    plan.has_password = true;
  } else {
    plan.warnings.emplace_back("the file is not encrypted, so the digest password is left out");
  }
}

}  // namespace

ConfigurationPlan plan_configuration(const ConfigurationFacts& facts, const SitePolicy& policy,
                                     const PhoneServers& servers, const PhoneKey* signer, SecretsInClear clear) {
  const EffectiveSettings settings = effective_settings(policy, facts.profile, facts.own);
  ConfigurationPlan plan;
  plan.mode = effective_mode(facts.mode);
  plan.digest = file_digest_of(settings.file_digest(), facts.model) == FileDigest::kSha1 ? files::Digest::kSha1
                                                                                         : files::Digest::kSha512;
  if (signer == nullptr)
    plan.warnings.emplace_back("this server has no key that signs files: the phone gets unsigned ones");
  // A phone that cannot check whose the file is would not open it either.
  if (settings.encrypted_config() && signer != nullptr) choose_key(facts, plan);
  if (plan.certificate) plan.values.certificate_hash = files::certificate_hash(plan.certificate->der());
  plan.values.mode = plan.mode.mode;
  plan.values.transport = settings.transport();
  plan.values.tvs = servers.tvs;
  plan.values.hardening = hardening_flags(settings);
  const bool in_clear = clear == SecretsInClear::kAsProfile && settings.allow_secrets_in_clear();
  plan.values.secrets = !facts.mode.blocked && (plan.certificate || in_clear);
  if (facts.mode.blocked) {
    plan.warnings.emplace_back("the phone is blocked: its file has no passwords, and does not send it to CAPF");
  }
  choose_capf(facts, settings, servers, plan.values);
  choose_digest(facts, settings, plan);
  plan.generation = generation_of(facts, settings, plan, signer);
  return plan;
}

std::string generation_of(const ConfigurationSource& source) {
  Fingerprint print;
  add_source(source, nullptr, print);
  return print.hex();
}

}  // namespace capf::service
