#include "capf/service/configurations.h"

#include <utility>
#include <vector>

#include "capf/domain/phone_store.h"
#include "capf/files/signed_file.h"
#include "capf/service/steps.h"
#include "capf/service/together.h"

namespace capf::service {
namespace {

using files::Form;

/// Whether there is such a file: an encrypted one only where it can be, and no signed one without a signer.
bool exists(const ConfigurationPlan& plan, Form form, const PhoneKey* signer) {
  return form == Form::kPlain || (signer != nullptr && (form == Form::kSigned || plan.certificate));
}

PhoneFile file_of(Bytes octets, std::string generation) {
  return {std::make_shared<const Bytes>(std::move(octets)), std::move(generation)};
}

Bytes octets_of(const Secret& text) { return {text.view().begin(), text.view().end()}; }

/// The text with "***" in place of every password.
std::string masked(files::Configuration& configuration) {
  configuration.mask();
  return std::string(configuration.text().text());
}

}  // namespace

std::string configuration_name(const DeviceName& device, Form form) {
  const std::string name = device.text() + ".cnf.xml";
  switch (form) {
    case Form::kPlain: return name;
    case Form::kSigned: return name + ".sgn";
    case Form::kEncrypted: return name + ".enc.sgn";
  }
  CAPF_INVARIANT(false);
}

void Configurations::open_each(std::span<const files::FileRequest* const> requests, const Done& done) {
  std::vector<std::size_t> places;
  std::vector<std::optional<MadeFile>> known;
  std::vector<ConfigurationQuestion> asked;
  for (std::size_t place = 0; place < requests.size(); ++place) {
    const files::FileRequest& request = *requests[place];
    if (request.wanted == files::Wanted::kDefault) {
      done(place, open_default());
    } else if (request.wanted != files::Wanted::kConfiguration || !request.device) {
      done(place, std::nullopt);
    } else {
      places.push_back(place);
      known.push_back(made_.find(configuration_name(*request.device, request.form)));
      asked.push_back({*request.device, known.back() ? known.back()->source : std::pair<std::int64_t, std::int64_t>()});
    }
  }
  if (asked.empty()) return;
  auto looked =
      look_together<ConfigurationFacts>(std::span<const ConfigurationQuestion>(asked),
                                        [&](std::span<const ConfigurationQuestion> some) { return look(some); });
  for (std::size_t one = 0; one < asked.size(); ++one) {
    if (!looked[one]) {
      done(places[one], fail(looked[one].error()));
    } else {
      done(places[one], open_of(asked[one].device, requests[places[one]]->form, known[one], *std::move(looked[one])));
    }
  }
}

Result<std::optional<std::string>> Configurations::generation(const files::FileRequest& request) {
  if (request.wanted == files::Wanted::kDefault) {
    CAPF_LET(const auto file, open_default());
    return file ? std::optional(file->generation) : std::nullopt;
  }
  if (request.wanted != files::Wanted::kConfiguration || !request.device) return std::nullopt;
  CAPF_LET(const auto facts, look(*request.device, ConfigurationQuestion::kNoSource));
  if (!facts) return std::nullopt;
  const auto signer = keys_.file_signer();
  ConfigurationPlan plan = plan_of(*facts, signer.get());
  if (!exists(plan, request.form, signer.get())) return std::nullopt;
  return std::move(plan.generation);
}

Result<std::optional<PhoneFile>> Configurations::open_default() {
  CAPF_LET(const auto source, in_look(database_, [](Transaction& tx) {
             return tx.configurations().of_site(ConfigurationKind::kDefault);
           }));
  if (!source) return std::nullopt;
  const std::string name = "XMLDefault.cnf.xml";
  const std::string generation = generation_of(*source);
  const auto known = made_.find(name);
  if (known && known->file.generation == generation) return known->file;
  CAPF_LET(const Secret text, decrypt(*source));
  PhoneFile file = file_of(octets_of(text), generation);
  made_.put(name, {file, {source->id, source->revision}});
  return file;
}

Result<std::optional<PhoneFile>> Configurations::open_of(const DeviceName& device, Form form,
                                                         const std::optional<MadeFile>& known,
                                                         std::optional<ConfigurationFacts> facts) {
  if (!facts) return std::nullopt;
  const auto signer = keys_.file_signer();
  ConfigurationPlan plan = plan_of(*facts, signer.get());
  if (known && known->file.generation == plan.generation) return known->file;
  if (facts->source.id != 0 && !facts->source.source) {
    CAPF_LET(facts, look(device, {}));
    if (!facts) return std::nullopt;
    plan = plan_of(*facts, signer.get());
  }
  if (!exists(plan, form, signer.get())) return std::nullopt;
  CAPF_LET(Bytes octets, make(*facts, plan, form, signer.get()));
  PhoneFile file = file_of(std::move(octets), plan.generation);
  made_.put(configuration_name(device, form), {file, {facts->source.id, facts->source.revision}});
  return file;
}

ConfigurationPlan Configurations::plan_of(const ConfigurationFacts& facts, const PhoneKey* signer) const {
  return plan_configuration(facts, policy_, servers_, signer, clear_);
}

Result<std::vector<std::optional<ConfigurationFacts>>> Configurations::look(
    std::span<const ConfigurationQuestion> asked) {
  CAPF_TRY(high_water_.check());
  CAPF_LET(auto all, in_look(database_, [&](Transaction& tx) -> Result<std::vector<std::optional<ConfigurationFacts>>> {
             // A blocked phone's file has no passwords, and none is encrypted for a revoked LSC.
             CAPF_TRY(check_primary(tx));
             return tx.configurations().facts(asked);
           }));
  for (auto& facts : all) {
    if (facts && high_water_.withdrawn().has_phone(facts->phone_id, facts->device)) facts->mode.blocked = true;
  }
  return all;
}

Result<std::optional<ConfigurationFacts>> Configurations::look(const DeviceName& device,
                                                               std::pair<std::int64_t, std::int64_t> known) {
  const ConfigurationQuestion question{device, known};
  CAPF_LET(auto facts, look({&question, 1}));
  return std::move(facts.front());
}

Result<ConfigurationFacts> Configurations::facts_of(const DeviceName& device) {
  return in_read(database_, [&](Transaction& tx) -> Result<ConfigurationFacts> {
    const ConfigurationQuestion question{device};
    CAPF_LET(auto facts, tx.configurations().facts({&question, 1}));
    if (!facts.front()) return unknown_device(tx, device);
    return *std::move(facts.front());
  });
}

Result<Secret> Configurations::decrypt(const ConfigurationSource& source) const {
  return vault_.decrypt(cell_of_source(source.id), source.source.value_or(Bytes{}));
}

Result<files::Configuration> Configurations::source_of(const ConfigurationFacts& facts) const {
  if (facts.source.id == 0) return files::Configuration::parse(as_bytes(kConfigurationTemplate));
  CAPF_LET(const Secret text, decrypt(facts.source));
  return files::Configuration::parse(text.view());
}

Result<files::ConfigurationValues> Configurations::values_of(const ConfigurationFacts& facts,
                                                             const ConfigurationPlan& plan) const {
  files::ConfigurationValues values = plan.values;
  if (!plan.has_password) return values;
  CAPF_LET(Secret password, vault_.decrypt({"digest_users", "password", facts.digest_user_id}, *facts.digest_password));
  values.digest = files::DigestCredentials{facts.digest_user, std::move(password)};
  return values;
}

Result<Bytes> Configurations::make(const ConfigurationFacts& facts, const ConfigurationPlan& plan, Form form,
                                   const PhoneKey* signer) {
  CAPF_LET(files::Configuration configuration, source_of(facts));
  CAPF_LET(const files::ConfigurationValues values, values_of(facts, plan));
  CAPF_TRY(configuration.apply(values));
  const std::string name = configuration_name(facts.device, form);
  if (form == Form::kEncrypted) {
    CAPF_LET(const files::Certificate certificate, files::Certificate::read(signer->certificate));
    return files::make_encrypted({name, plan.digest, clock_.now()}, configuration.text(), *plan.certificate,
                                 {certificate, *signer->key, random_});
  }
  Bytes content = plan.certificate ? configuration.stub() : octets_of(configuration.text());
  return form == Form::kPlain ? Result<Bytes>(std::move(content)) : sign(name, plan.digest, content, *signer);
}

Result<Bytes> Configurations::sign(const std::string& name, files::Digest digest, BytesView content,
                                   const PhoneKey& signer) {
  CAPF_LET(const files::Certificate certificate, files::Certificate::read(signer.certificate));
  return files::make_signed({name, digest, clock_.now()}, content, {certificate, *signer.key, random_});
}

Result<ConfigurationView> Configurations::show(const DeviceName& device) {
  CAPF_LET(ConfigurationFacts facts, facts_of(device));
  const auto signer = keys_.file_signer();
  ConfigurationView view{.plan = plan_of(facts, signer.get())};
  CAPF_LET(files::Configuration before, source_of(facts));
  CAPF_LET(files::Configuration after, source_of(facts));
  files::ConfigurationValues values = view.plan.values;
  if (view.plan.has_password)
    values.digest = files::DigestCredentials{facts.digest_user, Secret(std::string_view("***"))};
  CAPF_TRY(after.apply(values));
  view.before = masked(before);
  view.after = masked(after);
  facts.source.source.reset();
  if (facts.source.id != 0) view.source = std::move(facts.source);
  return view;
}

Result<ConfigurationView> Configurations::check(const DeviceName& device) {
  CAPF_LET(ConfigurationFacts facts, facts_of(device));
  const auto signer = keys_.file_signer();
  ConfigurationView view{.plan = plan_of(facts, signer.get())};
  const auto made = make(facts, view.plan, view.plan.certificate ? Form::kEncrypted : Form::kPlain, signer.get());
  if (!made) view.fault = made.error().message;
  facts.source.source.reset();
  if (facts.source.id != 0) view.source = std::move(facts.source);
  return view;
}

Result<Bytes> Configurations::make_export(const DeviceName& device, Form form) {
  CAPF_LET(const auto facts, look(device, {}));
  if (!facts) {
    return in_read(database_, [&](Transaction& tx) -> Result<Bytes> { return unknown_device(tx, device); });
  }
  const auto signer = keys_.file_signer();
  if (form != Form::kPlain && !signer) return fail(Reason::kNoFileSigner);
  const ConfigurationPlan plan = plan_configuration(*facts, policy_, servers_, signer.get(), SecretsInClear::kNever);
  if (form == Form::kEncrypted && !plan.certificate) {
    return fail(Reason::kNoCertificate, "the file of " + device.text() +
                                            " is not encrypted: encrypted_config is off, or no RSA certificate of the "
                                            "phone is known");
  }
  return make(*facts, plan, form, signer.get());
}

}  // namespace capf::service
