#include "capf/cli/convert.h"

#include <algorithm>
#include <cctype>
#include <map>

namespace capf::cli {
namespace {

std::string spelling(std::string name, std::size_t prefix) {
  name.erase(0, std::min(prefix, name.size()));
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

std::string proto_name(const std::string& prefix, std::string text) {
  for (char& c : text) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return prefix + text;
}

constexpr std::string_view kKind = "OPERATION_KIND_";
constexpr std::string_view kState = "OPERATION_STATE_";
constexpr std::string_view kAuth = "AUTH_MODE_";
constexpr std::string_view kOrder = "KEY_ORDER_";

/// The time of a field that may be absent.
template <class Message>
Json time_or_null(const Message& message, bool (Message::*has)() const,
                  const google::protobuf::Timestamp& (Message::*get)() const) {
  if (!(message.*has)()) return {};
  return to_rfc3339(TimePoint(std::chrono::seconds((message.*get)().seconds())));
}
#define CAPF_TIME(message, field) \
  time_or_null(message, &std::decay_t<decltype(message)>::has_##field, &std::decay_t<decltype(message)>::field)

Json counts(const google::protobuf::Map<std::string, std::int64_t>& map) {
  const std::map<std::string, std::int64_t> sorted(map.begin(), map.end());
  Json::Object object;
  for (const auto& [name, count] : sorted) object.emplace_back(name, count);
  return object;
}

Json::Object phone_members(const v1::Phone& phone) {
  Json attempt;
  if (phone.has_last_attempt()) {
    const v1::Attempt& last = phone.last_attempt();
    attempt = Json::Object{{"at", CAPF_TIME(last, at)},
                           {"address", text_or_null(last.address())},
                           {"transport", text_or_null(last.transport())},
                           {"reason", text_or_null(last.reason())},
                           {"message", text_or_null(last.message())},
                           {"status", text_or_null(last.status())}};
  }
  return {{"device", phone.device()},
          {"model", text_or_null(phone.model())},
          {"description", text_or_null(phone.description())},
          {"tags", Json::Array(phone.tags().begin(), phone.tags().end())},
          {"created_at", CAPF_TIME(phone, created_at)},
          {"first_seen", CAPF_TIME(phone, first_seen)},
          {"last_seen", CAPF_TIME(phone, last_seen)},
          {"lsc_status", text_or_null(phone.lsc_status())},
          {"lsc_not_after", CAPF_TIME(phone, lsc_not_after)},
          {"lsc_issuer", phone.has_lsc_not_after() ? Json(phone.lsc_issuer_id()) : Json()},
          {"profile", text_or_null(phone.profile())},
          {"mode", text_or_null(phone.mode())},
          {"effective_mode", text_or_null(phone.effective_mode())},
          {"mode_reason", text_or_null(phone.mode_reason())},
          {"blocked", phone.has_blocked_at()},
          {"blocked_at", CAPF_TIME(phone, blocked_at)},
          {"mic_sha256", text_or_null(phone.mic_sha256())},
          {"self_service_stopped_at", CAPF_TIME(phone, self_service_stopped_at)},
          {"string_locked_until", CAPF_TIME(phone, string_locked_until)},
          {"traced_until", CAPF_TIME(phone, traced_until)},
          {"last_attempt", attempt}};
}

}  // namespace

std::string spell(v1::OperationKind kind) { return spelling(v1::OperationKind_Name(kind), kKind.size()); }
std::string spell(v1::OperationState state) { return spelling(v1::OperationState_Name(state), kState.size()); }
std::string spell(v1::AuthMode auth) { return spelling(v1::AuthMode_Name(auth), kAuth.size()); }
std::string spell(v1::KeyOrder order) {
  std::string text = spelling(v1::KeyOrder_Name(order), kOrder.size());
  std::replace(text.begin(), text.end(), '_', '-');
  return text;
}

v1::OperationKind kind_of(const std::string& text) {
  v1::OperationKind kind = v1::OPERATION_KIND_UNSPECIFIED;
  v1::OperationKind_Parse(proto_name(std::string(kKind), text), &kind);
  return kind;
}
v1::OperationState state_of(const std::string& text) {
  v1::OperationState state = v1::OPERATION_STATE_UNSPECIFIED;
  v1::OperationState_Parse(proto_name(std::string(kState), text), &state);
  return state;
}
v1::AuthMode auth_of(const std::string& text) {
  v1::AuthMode auth = v1::AUTH_MODE_UNSPECIFIED;
  v1::AuthMode_Parse(proto_name(std::string(kAuth), text), &auth);
  return auth;
}
v1::KeyOrder key_order_of(const std::string& text) {
  v1::KeyOrder order = v1::KEY_ORDER_UNSPECIFIED;
  v1::KeyOrder_Parse(proto_name(std::string(kOrder), text), &order);
  return order;
}

void set_time(google::protobuf::Timestamp& field, TimePoint time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  field.set_seconds(seconds.time_since_epoch().count());
  field.set_nanos(static_cast<std::int32_t>(std::chrono::nanoseconds(time - seconds).count()));
}

Json to_json(const v1::Phone& phone) { return phone_members(phone); }

Json to_json(const v1::DigestUser& user) {
  return Json::Object{{"name", user.name()},
                      {"hash_only", user.hash_only()},
                      {"realm", text_or_null(user.realm())},
                      {"created_at", CAPF_TIME(user, created_at)},
                      {"password_set_at", CAPF_TIME(user, password_set_at)}};
}

Json to_json(const v1::GetDigestUserResponse& response) {
  const Json user = to_json(response.user());
  Json::Object members = *user.object();
  members.emplace_back("phones", response.phones());
  members.emplace_back("devices", Json::Array(response.devices().begin(), response.devices().end()));
  return members;
}

namespace {

/// The files that the phone fetched last; null where none is on record.
Json fetched_of(const v1::GetPhoneResponse& response) {
  if (!response.has_fetched()) return {};
  const v1::PhoneFetch& fetch = response.fetched();
  const auto generation = [](std::int64_t number) { return number == 0 ? Json() : Json(number); };
  return Json::Object{{"itl_generation", generation(fetch.itl_generation())},
                      {"ctl_generation", generation(fetch.ctl_generation())},
                      {"configuration_generation", text_or_null(fetch.configuration_generation())},
                      {"fetched_at", CAPF_TIME(fetch, fetched_at)},
                      {"address", text_or_null(fetch.address())}};
}

Json phone_with(const v1::GetPhoneResponse& response, Json settings) {
  Json::Object members = phone_members(response.phone());
  members.emplace_back("status", text_or_null(response.status()));
  members.emplace_back("settings", std::move(settings));
  members.emplace_back("lines", Json::Array(response.lines().begin(), response.lines().end()));
  members.emplace_back("operation", response.has_operation() ? to_json(response.operation()) : Json());
  Json::Array certificates;
  for (const auto& certificate : response.certificates()) certificates.push_back(to_json(certificate));
  members.emplace_back("certificates", std::move(certificates));
  members.emplace_back("digest_user", text_or_null(response.digest_user()));
  members.emplace_back("logged_in_user", text_or_null(response.logged_in_user()));
  members.emplace_back("logged_in_at", CAPF_TIME(response, logged_in_at));
  members.emplace_back("fetched", fetched_of(response));
  return members;
}

using SettingsMap = google::protobuf::Map<std::string, v1::EffectiveSetting>;

template <class Each>
Json settings_with(const SettingsMap& of, Each each) {
  const std::map<std::string, v1::EffectiveSetting> sorted(of.begin(), of.end());
  Json::Object settings;
  for (const auto& [name, setting] : sorted) settings.emplace_back(name, each(setting));
  return settings;
}
Json settings_to_json(const SettingsMap& of) {
  return settings_with(of, [](const v1::EffectiveSetting& setting) {
    return Json(Json::Object{{"value", setting.value()}, {"from", setting.from()}});
  });
}
Json settings_in_words(const SettingsMap& of) {
  return settings_with(
      of, [](const v1::EffectiveSetting& setting) { return Json(setting.value() + " (" + setting.from() + ")"); });
}

Json operation_with(const v1::Operation& operation, Json settings) {
  return Json::Object{{"device", operation.device()},
                      {"kind", spell(operation.kind())},
                      {"state", spell(operation.state())},
                      {"auth", spell(operation.auth())},
                      {"reason", text_or_null(operation.reason())},
                      {"message", text_or_null(operation.message())},
                      {"created_at", CAPF_TIME(operation, created_at)},
                      {"completes_by", CAPF_TIME(operation, completes_by)},
                      {"finished_at", CAPF_TIME(operation, finished_at)},
                      {"id", operation.id()},
                      {"key_order", operation.has_key() ? Json(spell(operation.key().order())) : Json()},
                      {"rsa_size", operation.has_key() ? Json(operation.key().rsa_bits()) : Json()},
                      {"ec_size", operation.has_key() ? Json(operation.key().ec_bits()) : Json()},
                      {"created_by", text_or_null(operation.created_by())},
                      {"self_service", operation.self_service()},
                      {"overdue", operation.overdue()},
                      {"authenticated_by", text_or_null(operation.authenticated_by())},
                      {"expired_mic", operation.expired_mic()},
                      {"status", text_or_null(operation.status())},
                      {"settings", std::move(settings)}};
}

}  // namespace

Json to_json(const v1::GetPhoneResponse& response) {
  return phone_with(response, settings_to_json(response.settings()));
}

Json with_settings_in_words(const v1::GetPhoneResponse& response) {
  return phone_with(response, settings_in_words(response.settings()));
}

Json to_json(const v1::Profile& profile) {
  const std::map<std::string, std::string> sorted(profile.settings().begin(), profile.settings().end());
  Json::Object settings;
  for (const auto& [name, value] : sorted) settings.emplace_back(name, value);
  return Json::Object{{"name", profile.name()},
                      {"description", text_or_null(profile.description())},
                      {"mode", profile.mode()},
                      {"phones", profile.phones()},
                      {"revision", profile.revision()},
                      {"created_at", CAPF_TIME(profile, created_at)},
                      {"changed_at", CAPF_TIME(profile, changed_at)},
                      {"settings", std::move(settings)}};
}

Json to_json(const v1::TracePhoneResponse& trace) { return Json::Object{{"traced_until", CAPF_TIME(trace, until)}}; }

Json to_json(const v1::Line& line) {
  return Json::Object{{"name", line.name()},
                      {"devices", line.devices()},
                      {"mixed", line.mixed()},
                      {"mixed_in_effect", line.mixed_in_effect()},
                      {"allow_mixed", line.allow_mixed()},
                      {"added_at", CAPF_TIME(line, added_at)},
                      {"added_by", line.added_by()}};
}

namespace {

Json seconds_or_null(bool has, const google::protobuf::Duration& duration) {
  return has ? Json(std::int64_t{duration.seconds()}) : Json();
}

/// How many phones are in which state, and why.
void add_figures(const v1::Campaign& campaign, Json::Object& object) {
  std::map<std::string, std::int64_t> states;
  Json::Array reasons;
  for (const v1::CampaignFigure& figure : campaign.figures()) {
    states[figure.state()] += figure.phones();
    if (figure.reason().empty()) continue;
    reasons.emplace_back(
        Json::Object{{"state", figure.state()}, {"reason", figure.reason()}, {"phones", figure.phones()}});
  }
  Json::Object phones;
  for (const auto& [state, count] : states) phones.emplace_back(state, count);
  object.emplace_back("phones", std::move(phones));
  object.emplace_back("reasons", std::move(reasons));
}

}  // namespace

Json to_json(const v1::Campaign& campaign) {
  Json::Object object{{"name", campaign.name()},
                      {"state", campaign.state()},
                      {"why", text_or_null(campaign.why())},
                      {"auth", spell(campaign.auth())},
                      {"rate", text_or_null(campaign.rate())},
                      {"spread_seconds", seconds_or_null(campaign.has_spread(), campaign.spread())},
                      {"window", text_or_null(campaign.window())},
                      {"time_zone", text_or_null(campaign.time_zone())},
                      {"opens_at", CAPF_TIME(campaign, opens_at)},
                      {"stop_at_percent", campaign.stop_at_percent() == 0 ? Json() : Json(campaign.stop_at_percent())},
                      {"patience_seconds", seconds_or_null(campaign.has_patience(), campaign.patience())},
                      {"created_by", campaign.created_by()},
                      {"created_at", CAPF_TIME(campaign, created_at)},
                      {"ended_at", CAPF_TIME(campaign, ended_at)}};
  if (!campaign.figures().empty()) add_figures(campaign, object);
  return object;
}

Json to_json(const v1::CampaignRelease& release) {
  return Json::Object{{"device", release.device()},
                      {"cursor", release.cursor()},
                      {"released_at", CAPF_TIME(release, released_at)},
                      {"late", release.late()}};
}

Json to_json(const v1::GetLineResponse& response) {
  Json::Array devices;
  for (const v1::LineDevice& device : response.devices()) {
    devices.emplace_back(Json::Object{{"device", device.device()},
                                      {"mode", device.mode()},
                                      {"effective_mode", device.effective_mode()},
                                      {"mode_reason", text_or_null(device.mode_reason())}});
  }
  const Json line = to_json(response.line());
  Json::Object members = *line.object();
  for (auto& [name, value] : members) {
    if (name != "devices") continue;
    value = std::move(devices);
    break;
  }
  return members;
}

Json to_json(const v1::RecoverSiteResponse& recovered) {
  return Json::Object{{"revocations", recovered.revocations()},
                      {"unknown", recovered.unknown()},
                      {"operations", recovered.operations()},
                      {"phones", recovered.phones()},
                      {"seal", recovered.seal()},
                      {"made_up", recovered.made_up()},
                      {"withdrawn", recovered.withdrawn()}};
}

Json to_json(const v1::ScheduledOperation& scheduled) {
  Json operation = to_json(scheduled.operation());
  Json::Object members = *operation.object();
  members.emplace_back("auth_string", text_or_null(scheduled.auth_string()));
  return members;
}

Json to_json(const v1::BulkPhone& phone) {
  return Json::Object{{"device", phone.device()},
                      {"description", text_or_null(phone.description())},
                      {"tags", Json::Array(phone.tags().begin(), phone.tags().end())}};
}

Json to_json(const v1::Operation& operation) {
  return operation_with(operation, settings_to_json(operation.settings()));
}

Json with_settings_in_words(const v1::Operation& operation) {
  return operation_with(operation, settings_in_words(operation.settings()));
}

Json to_json(const v1::Certificate& certificate) {
  return Json::Object{{"serial", certificate.serial()},
                      {"device", text_or_null(certificate.device())},
                      {"issuer", certificate.issuer()},
                      {"not_before", CAPF_TIME(certificate, not_before)},
                      {"not_after", CAPF_TIME(certificate, not_after)},
                      {"state", certificate.state()},
                      {"revocation_reason", text_or_null(certificate.revocation_reason())},
                      {"revoked_at", CAPF_TIME(certificate, revoked_at)},
                      {"confirmed_at", CAPF_TIME(certificate, confirmed_at)},
                      {"superseded_at", CAPF_TIME(certificate, superseded_at)},
                      {"kind", text_or_null(certificate.kind())},
                      {"possession", text_or_null(certificate.possession())},
                      {"sha256", text_or_null(certificate.sha256())}};
}

Json to_json(const v1::BlockedCertificate& certificate) {
  return Json::Object{{"sha256", certificate.sha256()},
                      {"key_sha256", certificate.key_sha256()},
                      {"subject", certificate.subject()},
                      {"issuer", certificate.issuer()},
                      {"serial", certificate.serial()},
                      {"not_after", CAPF_TIME(certificate, not_after)},
                      {"blocked_at", CAPF_TIME(certificate, blocked_at)},
                      {"blocked_by", certificate.blocked_by()}};
}

Json to_json(const v1::TrustedParty& party) {
  return Json::Object{{"party", party.party()},
                      {"level", party.level()},
                      {"changed_at", CAPF_TIME(party, changed_at)},
                      {"changed_by", party.changed_by()}};
}

Json to_json(const v1::Configuration& configuration) {
  Json::Array warnings;
  for (const std::string& warning : configuration.warnings()) warnings.emplace_back(warning);
  return Json::Object{{"device", configuration.device()},
                      {"generation", configuration.generation()},
                      {"source", configuration.source()},
                      {"revision", configuration.revision()},
                      {"imported_at", CAPF_TIME(configuration, imported_at)},
                      {"imported_by", text_or_null(configuration.imported_by())},
                      {"mode", configuration.mode()},
                      {"mode_reason", text_or_null(configuration.mode_reason())},
                      {"encrypted_for", text_or_null(configuration.encrypted_for())},
                      {"passwords", configuration.passwords()},
                      {"fault", text_or_null(configuration.fault())},
                      {"warnings", std::move(warnings)}};
}

Json to_json(const v1::TrustedCertificate& certificate) {
  Json::Array roles;
  for (const std::string& role : certificate.roles()) roles.emplace_back(role);
  return Json::Object{{"sha256", certificate.sha256()},
                      {"subject", certificate.subject()},
                      {"issuer", certificate.issuer()},
                      {"serial", certificate.serial()},
                      {"not_before", CAPF_TIME(certificate, not_before)},
                      {"not_after", CAPF_TIME(certificate, not_after)},
                      {"roles", std::move(roles)},
                      {"dns", text_or_null(certificate.dns())},
                      {"address", text_or_null(certificate.address())},
                      {"vouch_only", certificate.vouch_only()},
                      {"blocked", certificate.blocked()},
                      {"added_at", CAPF_TIME(certificate, added_at)},
                      {"added_by", certificate.added_by()}};
}

Json to_json(const v1::ListGeneration& list) {
  return Json::Object{{"kind", list.kind()},
                      {"generation", list.generation()},
                      {"made_at", CAPF_TIME(list, made_at)},
                      {"made_by", list.made_by()},
                      {"signer", list.signer()},
                      {"sha1", list.sha1()},
                      {"md5", list.md5()},
                      {"sha1_of_sha1", list.sha1_of_sha1()},
                      {"md5_of_sha1", list.md5_of_sha1()}};
}

Json to_json(const v1::LimitedAddress& address) {
  return Json::Object{{"address", address.address()},
                      {"device", text_or_null(address.device())},
                      {"strings", address.strings()},
                      {"limit", address.limit()},
                      {"until", CAPF_TIME(address, until)}};
}

namespace {

Json::Object issuer_members(const v1::Issuer& issuer) {
  return {{"id", issuer.id()},
          {"state", issuer.state()},
          {"active", issuer.active()},
          {"subject", issuer.subject()},
          {"sha256", issuer.sha256()},
          {"not_before", CAPF_TIME(issuer, not_before)},
          {"not_after", CAPF_TIME(issuer, not_after)},
          {"shards", issuer.shards()},
          {"added_at", CAPF_TIME(issuer, added_at)},
          {"activated_at", CAPF_TIME(issuer, activated_at)},
          {"retired_at", CAPF_TIME(issuer, retired_at)}};
}

}  // namespace

Json to_json(const v1::Issuer& issuer) { return issuer_members(issuer); }

Json to_json(const v1::WireCertificate& certificate) {
  return Json::Object{{"name", certificate.name()},
                      {"shown", certificate.shown()},
                      {"subject", certificate.subject()},
                      {"sha256", certificate.sha256()},
                      {"not_before", CAPF_TIME(certificate, not_before)},
                      {"not_after", CAPF_TIME(certificate, not_after)}};
}

Json to_json(const v1::GetIssuerResponse& issuer) {
  Json::Object members = issuer_members(issuer.issuer());
  members.emplace_back("valid", issuer.valid());
  members.emplace_back("revoked", issuer.revoked());
  members.emplace_back("last_expiry", CAPF_TIME(issuer, last_expiry));
  Json::Array servers;
  for (const v1::Server& server : issuer.servers()) {
    const auto& keys = server.issuers();
    const bool has_key = std::find(keys.begin(), keys.end(), issuer.issuer().id()) != keys.end();
    servers.emplace_back(Json::Object{{"name", server.name()},
                                      {"version", server.version()},
                                      {"started_at", CAPF_TIME(server, started_at)},
                                      {"seen_at", CAPF_TIME(server, seen_at)},
                                      {"has_key", has_key}});
  }
  members.emplace_back("servers", std::move(servers));
  return members;
}

Json to_json(const v1::Anchor& anchor) {
  return Json::Object{{"sha256", anchor.sha256()},
                      {"store", anchor.store()},
                      {"subject", anchor.subject()},
                      {"not_before", CAPF_TIME(anchor, not_before)},
                      {"not_after", CAPF_TIME(anchor, not_after)},
                      {"devices", text_or_null(anchor.devices())},
                      {"models", text_or_null(anchor.models())},
                      {"allow_sha1", anchor.allow_sha1()},
                      {"min_rsa_bits", anchor.min_rsa_bits()},
                      {"allow_expired_until", CAPF_TIME(anchor, allow_expired_until)},
                      {"ends_at", CAPF_TIME(anchor, ends_at)},
                      {"added_at", CAPF_TIME(anchor, added_at)},
                      {"added_by", text_or_null(anchor.added_by())}};
}

Json to_json(const v1::TrustCandidate& candidate) {
  const auto texts = [](const auto& list) { return Json::Array(list.begin(), list.end()); };
  return Json::Object{{"issuer", candidate.issuer()},
                      {"key_identifier", text_or_null(candidate.key_identifier())},
                      {"subject", candidate.subject()},
                      {"certificate_sha256", candidate.certificate_sha256()},
                      {"count", candidate.count()},
                      {"first_at", CAPF_TIME(candidate, first_at)},
                      {"last_at", CAPF_TIME(candidate, last_at)},
                      {"devices", texts(candidate.devices())},
                      {"addresses", texts(candidate.addresses())}};
}

Json to_json(const v1::Administrator& administrator) {
  return Json::Object{{"name", administrator.name()},
                      {"role", administrator.role()},
                      {"certificate_sha256", administrator.certificate_sha256()},
                      {"certificate_not_after", CAPF_TIME(administrator, certificate_not_after)},
                      {"created_at", CAPF_TIME(administrator, created_at)},
                      {"created_by", text_or_null(administrator.created_by())},
                      {"disabled_at", CAPF_TIME(administrator, disabled_at)},
                      {"ends_at", CAPF_TIME(administrator, ends_at)}};
}

Json to_json(const v1::CertificateFinding& finding) {
  return Json::Object{{"serial", finding.serial()},
                      {"device", finding.device()},
                      {"what", finding.what()},
                      {"message", finding.message()}};
}

Json to_json(const v1::AuditEvent& event) {
  return Json::Object{{"id", event.id()},
                      {"at", CAPF_TIME(event, at)},
                      {"actor_kind", event.actor_kind()},
                      {"actor", text_or_null(event.actor())},
                      {"address", text_or_null(event.address())},
                      {"action", event.action()},
                      {"subject", text_or_null(event.subject())},
                      {"operation_id", event.operation_id() == 0 ? Json() : Json(event.operation_id())},
                      {"outcome", event.outcome()},
                      {"reason", text_or_null(event.reason())},
                      {"detail", text_or_null(event.detail())}};
}

Json to_json(const v1::RefusalCount& refusal) {
  return Json::Object{{"minute", CAPF_TIME(refusal, minute)},
                      {"address_block", refusal.address_block()},
                      {"reason", refusal.reason()},
                      {"device", text_or_null(refusal.device())},
                      {"count", refusal.count()}};
}

Json to_json(const v1::OperationChange& change) {
  return Json::Object{{"at", CAPF_TIME(change, at)},
                      {"action", change.action()},
                      {"outcome", text_or_null(change.outcome())},
                      {"reason", text_or_null(change.reason())},
                      {"cursor", change.cursor()},
                      {"operation", change.has_operation() ? to_json(change.operation()) : Json()}};
}

Json to_json(const v1::SecurityChange& change) {
  return Json::Object{{"at", CAPF_TIME(change, at)},
                      {"kind", change.kind()},
                      {"device", text_or_null(change.device())},
                      {"profile", text_or_null(change.profile())},
                      {"profile_id", change.profile_id() == 0 ? Json() : Json(change.profile_id())},
                      {"mode", text_or_null(change.mode())},
                      {"effective_mode", text_or_null(change.effective_mode())},
                      {"mode_reason", text_or_null(change.mode_reason())},
                      {"reason", text_or_null(change.reason())},
                      {"serial", text_or_null(change.serial())},
                      {"sha256", text_or_null(change.sha256())},
                      {"digest_user", text_or_null(change.digest_user())},
                      {"cursor", change.cursor()}};
}

Json to_json(const v1::GetSummaryResponse& summary) {
  Json::Array expiries;
  for (const v1::Expiry& expiry : summary.expiries()) {
    expiries.emplace_back(Json::Object{{"kind", expiry.kind()},
                                       {"name", text_or_null(expiry.name())},
                                       {"role", text_or_null(expiry.role())},
                                       {"not_after", CAPF_TIME(expiry, not_after)},
                                       {"renews_at", CAPF_TIME(expiry, renews_at)},
                                       {"spare", expiry.spare()}});
  }
  return Json::Object{{"phones", summary.phones()},
                      {"operations", counts(summary.operations())},
                      {"overdue", summary.overdue()},
                      {"oldest_pending", CAPF_TIME(summary, oldest_pending)},
                      {"reasons", counts(summary.reasons())},
                      {"refusals", counts(summary.refusals())},
                      {"lscs_expiring_30_days", summary.lscs_expiring_30_days()},
                      {"lscs_expiring_7_days", summary.lscs_expiring_7_days()},
                      {"lscs_expiring_1_day", summary.lscs_expiring_1_day()},
                      {"lscs_expired", summary.lscs_expired()},
                      {"lscs_unconfirmed", summary.lscs_unconfirmed()},
                      {"renewals_late", summary.renewals_late()},
                      {"profile_modes", counts(summary.profile_modes())},
                      {"effective_modes", counts(summary.effective_modes())},
                      {"modes_not_in_effect", counts(summary.modes_not_in_effect())},
                      {"digest_without_user", summary.digest_without_user()},
                      {"issuer_not_after", CAPF_TIME(summary, issuer_not_after)},
                      {"expiries", std::move(expiries)}};
}

}  // namespace capf::cli
