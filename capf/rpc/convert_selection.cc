#include <algorithm>
#include <map>
#include <sstream>

#include "capf/rpc/convert.h"
#include "capf/rpc/convert_field.h"

namespace capf::rpc {
namespace {

/// Parses the values of a property. @param parse takes one, returns a Result<Value>.
template <class Value, class Texts, class Parse>
Result<std::vector<Value>> values_from(const Texts& texts, std::string_view property, Parse parse) {
  std::vector<Value> values;
  values.reserve(static_cast<std::size_t>(texts.size()));
  for (const auto& text : texts) {
    auto value = parse(text);
    if (!value) {
      std::ostringstream shown;
      shown << text;
      constexpr std::size_t kShown = 60;
      return fail(value.error().reason, "\"" + shown.str().substr(0, kShown) + "\" among the " + std::string(property) +
                                            " of a selection: " + value.error().message);
    }
    values.push_back(*std::move(value));
  }
  return values;
}

Result<std::string> tag_from(const std::string& text) {
  CAPF_TRY(check_tag(text));
  return text;
}

Result<LscStatus> lsc_status_from(const std::string& text) {
  const auto status = parse_lsc_status(text);
  if (!status) return malformed("a phone's LSC is none, valid, expired, revoked or held");
  return *status;
}

Result<std::int64_t> issuer_from(std::int64_t id) {
  if (id <= 0) return malformed("an issuer's id is a positive number");
  return id;
}

Result<OperationStatus> operation_status_from(const std::string& text) {
  const auto status = parse_operation_status(text);
  if (!status) {
    return malformed(
        "a phone's operation is none, pending, in_progress, issued, overdue, succeeded, failed, expired or cancelled");
  }
  return *status;
}

Result<Reason> reason_from(const std::string& text) {
  const Reason reason = parse_reason(text);
  if (to_string(reason) != text) return malformed("a reason is spelled as it is shown: AUTH_STRING_MISMATCH");
  return reason;
}

Result<AuthMode> auth_from(int mode) { return from_proto(static_cast<v1::AuthMode>(mode)); }

Status add_lsc_from(const v1::PhoneSelection& selection, PhoneSelection& selected) {
  CAPF_LET(selected.lscs, values_from<LscStatus>(selection.lsc(), "LSC statuses", lsc_status_from));
  CAPF_LET(selected.issuers, values_from<std::int64_t>(selection.issuers(), "issuers", issuer_from));
  CAPF_LET(selected.expires_before, optional_time(selection.has_expires_before(), selection.expires_before()));
  CAPF_LET(selected.issuer_expires_before,
           optional_time(selection.has_issuer_expires_before(), selection.issuer_expires_before()));
  return {};
}

Status add_operation_from(const v1::PhoneSelection& selection, PhoneSelection& selected) {
  CAPF_LET(selected.auths, values_from<AuthMode>(selection.auths(), "authentication modes", auth_from));
  CAPF_LET(selected.operations,
           values_from<OperationStatus>(selection.operations(), "operation states", operation_status_from));
  CAPF_LET(selected.reasons, values_from<Reason>(selection.reasons(), "reasons", reason_from));
  CAPF_LET(selected.refusals, values_from<Reason>(selection.tried_reasons(), "reasons of refusals", reason_from));
  selected.tried = selection.tried();
  return {};
}

Result<std::string> profile_name_from(const std::string& text) {
  CAPF_TRY(check_profile_name(text));
  return text;
}

Result<CampaignPhoneState> renewal_from(const std::string& text) {
  const auto state = parse_campaign_phone_state(text);
  if (!state) {
    return malformed("a renewal is waiting, released, late, succeeded, failed, cancelled or skipped");
  }
  return *state;
}

Status add_profile_from(const v1::PhoneSelection& selection, PhoneSelection& selected) {
  CAPF_LET(selected.profiles, values_from<std::string>(selection.profiles(), "profiles", profile_name_from));
  CAPF_LET(selected.modes, values_from<DeviceMode>(selection.modes(), "modes", mode_from));
  CAPF_LET(selected.effective_modes,
           values_from<DeviceMode>(selection.effective_modes(), "modes in effect", mode_from));
  CAPF_LET(selected.renewals,
           values_from<CampaignPhoneState>(selection.renewals(), "states of renewals", renewal_from));
  return {};
}

Result<std::optional<AuthMode>> said_auth(v1::AuthMode mode) {
  if (mode == v1::AUTH_MODE_UNSPECIFIED) return std::nullopt;
  CAPF_LET(const AuthMode said, from_proto(mode));
  return std::optional(said);
}

/// Takes every string out of the message before one of them is refused.
template <class Request>
Result<std::map<DeviceName, Secret>> take_strings(const Request& request) {
  std::vector<Secret> strings;
  for (const v1::DeviceString& each : request.strings()) strings.push_back(take_secret(each.digits()));
  std::map<DeviceName, Secret> taken;
  for (int i = 0; i < request.strings_size(); ++i) {
    CAPF_LET(const DeviceName device, DeviceName::parse(request.strings(i).device()));
    if (!taken.emplace(device, std::move(strings[static_cast<std::size_t>(i)])).second) {
      return malformed(device.text() + " has two strings");
    }
  }
  return taken;
}

template <class Request>
Result<std::map<DeviceName, TimePoint>> deadlines_from(const Request& request) {
  std::map<DeviceName, TimePoint> deadlines;
  for (const v1::DeviceString& each : request.strings()) {
    if (!each.has_completes_by()) continue;
    CAPF_LET(const DeviceName device, DeviceName::parse(each.device()));
    CAPF_LET(const TimePoint completes_by, from_proto(each.completes_by()));
    deadlines.emplace(device, completes_by);
  }
  return deadlines;
}

Result<Bytes> run_from(const std::string& run) {
  if (!run.empty() && run.size() != kRunOctets) return malformed("a run is 16 octets");
  return Bytes(run.begin(), run.end());
}

}  // namespace

Result<PhoneSelection> selection_from(const v1::PhoneSelection& selection) {
  PhoneSelection selected{.all = selection.all(), .leaves_unknown = selection.leaves_unknown()};
  CAPF_LET(selected.devices, values_from<DeviceName>(selection.devices(), "devices", DeviceName::parse));
  CAPF_LET(selected.excepts, values_from<DeviceName>(selection.excepts(), "excepted devices", DeviceName::parse));
  CAPF_LET(selected.patterns, values_from<Pattern>(selection.patterns(), "patterns of devices", Pattern::parse));
  CAPF_LET(selected.models, values_from<Pattern>(selection.models(), "models", Pattern::parse));
  CAPF_LET(selected.tags, values_from<std::string>(selection.tags(), "tags", tag_from));
  CAPF_TRY(add_lsc_from(selection, selected));
  CAPF_TRY(add_operation_from(selection, selected));
  CAPF_TRY(add_profile_from(selection, selected));
  CAPF_LET(selected.not_seen_since, optional_time(selection.has_not_seen_since(), selection.not_seen_since()));
  if (selection.has_blocked()) selected.blocked = selection.blocked();
  if (selection.has_locked()) selected.locked = selection.locked();
  CAPF_TRY(selected.check());
  return selected;
}

Result<service::Bulk> bulk_from(const v1::PhoneSelection& selection, std::int64_t count, const std::string& cursor) {
  service::Bulk bulk;
  CAPF_LET(bulk.selection, selection_from(selection));
  if (count < 0) return malformed("a count is not negative");
  bulk.count = count;
  if (cursor.empty()) return bulk;
  CAPF_LET(const auto parts, cursor_parts(cursor));
  const auto through = number_from<std::int64_t>(parts.first);
  const auto after = DeviceName::parse(parts.second);
  if (!through || !after) return fail(Reason::kInvalidPage);
  bulk.cursor = service::BulkCursor{*through, *after};
  return bulk;
}

std::string to_text(const service::BulkCursor& cursor) {
  return std::to_string(cursor.through) + '.' + cursor.after.text();
}

Result<service::OperationBulk> bulk_from(const v1::OperationBulk& bulk) {
  service::OperationBulk wanted;
  if (bulk.selection().devices_size() > kPhonesInBatch) return malformed("up to 500 devices in one call");
  CAPF_LET(wanted.phones, bulk_from(bulk.selection(), bulk.count(), bulk.cursor()));
  for (const std::string& text : bulk.skipped()) {
    const auto* const problem = std::find(service::kProblems.begin(), service::kProblems.end(), parse_reason(text));
    if (problem == service::kProblems.end()) {
      return malformed("a bulk skips UNKNOWN_DEVICE, DEVICE_BLOCKED, OPERATION_PENDING or NO_PENDING_OPERATION");
    }
    wanted.skipped.insert(*problem);
  }
  if (!bulk.run().empty() && bulk.run().size() != kRunOctets) return malformed("a run is 16 octets");
  wanted.run.assign(bulk.run().begin(), bulk.run().end());
  return wanted;
}

Result<CertificateSelection> selection_from(const v1::CertificateSelection& selection, const std::string& reason) {
  CertificateSelection selected;
  if (!selection.devices().empty()) {
    CAPF_LET(selected.devices, Pattern::parse(selection.devices()));
  }
  if (!selection.models().empty()) {
    CAPF_LET(selected.models, Pattern::parse(selection.models()));
  }
  if (selection.issuer() < 0) return malformed("an issuer's id is a positive number");
  if (selection.issuer() > 0) selected.issuer_id = selection.issuer();
  CAPF_LET(selected.issued_after, optional_time(selection.has_issued_after(), selection.issued_after()));
  CAPF_LET(selected.issued_before, optional_time(selection.has_issued_before(), selection.issued_before()));
  CAPF_LET(selected.expires_before, optional_time(selection.has_expires_before(), selection.expires_before()));
  if (!selection.state().empty()) {
    selected.state = parse_certificate_state(selection.state());
    const bool good = selected.state == CertificateState::kIssued || selected.state == CertificateState::kConfirmed ||
                      selected.state == CertificateState::kSuperseded;
    if (!good) return malformed("a certificate that can be revoked is issued, confirmed or superseded");
  }
  if (selection.serials_size() > kMostSerialsAtOnce) return malformed("10,000 serial numbers at once");
  for (const std::string& text : selection.serials()) {
    CAPF_LET(const SerialNumber serial, SerialNumber::parse(text));
    selected.serials.push_back(serial);
  }
  if (selection.has_phones()) {
    CAPF_LET(selected.phones, selection_from(selection.phones()));
  }
  if (!selected.names_any()) return fail(Reason::kInvalidSelection);
  CAPF_LET(const RevocationReason wanted, revocation_reason_from(reason));
  selected.held = wanted != RevocationReason::kCertificateHold;
  return selected;
}

Result<service::SelectionRequest> selection_from(const v1::RevokeSelectionRequest& request) {
  service::SelectionRequest wanted;
  CAPF_LET(wanted.selection, selection_from(request.selection(), request.reason()));
  CAPF_LET(wanted.reason, revocation_reason_from(request.reason()));
  if (request.count() < 0) return malformed("a count is not negative");
  wanted.count = request.count();
  if (request.cursor().empty()) return wanted;
  CAPF_LET(const auto parts, cursor_parts(request.cursor()));
  const auto through = number_from<std::int64_t>(parts.first);
  const auto phone = number_from<std::int64_t>(parts.second);
  if (!through || !phone) return fail(Reason::kInvalidPage);
  wanted.cursor = service::SelectionCursor{*through, *phone};
  return wanted;
}

Result<service::ScheduleRequest> schedule_from(const v1::ScheduleOperationsRequest& request) {
  service::ScheduleRequest schedule;
  CAPF_LET(schedule.auth_string, take_auth_string(request.auth_string()));
  CAPF_LET(schedule.devices, devices_from(request.devices()));
  CAPF_LET(schedule.kind, from_proto(request.kind()));
  CAPF_LET(schedule.auth, said_auth(request.auth()));
  if (schedule.auth_string && schedule.auth != AuthMode::kString) {
    return fail(Reason::kInvalidAuthString, "only authentication by string takes an authentication string");
  }
  CAPF_LET(schedule.key, from_proto(request.key()));
  CAPF_LET(schedule.completes_by, optional_time(request.has_completes_by(), request.completes_by()));
  return schedule;
}

Result<service::ScheduleBulk> schedule_from(const v1::ScheduleSelectionRequest& request) {
  service::ScheduleBulk schedule;
  auto auth_string = take_auth_string(request.auth_string());
  CAPF_LET(schedule.strings, take_strings(request));
  CAPF_LET(schedule.plan.auth_string, std::move(auth_string));
  CAPF_LET(static_cast<service::OperationBulk&>(schedule), bulk_from(request.bulk()));
  CAPF_LET(schedule.plan.kind, from_proto(request.kind()));
  CAPF_LET(schedule.plan.auth, said_auth(request.auth()));
  CAPF_LET(schedule.plan.key, from_proto(request.key()));
  CAPF_LET(schedule.plan.completes_by, optional_time(request.has_completes_by(), request.completes_by()));
  CAPF_LET(schedule.deadlines, deadlines_from(request));
  schedule.replace = request.replace();
  return schedule;
}

Result<service::ApplyRequest> apply_from(const v1::ApplyProfileRequest& request) {
  auto strings = take_strings(request);
  service::ApplyRequest apply{request.profile(), request.anyway(), request.lines(), request.allow_mixed(), {}};
  service::InstallWish install;
  CAPF_LET(install.strings, std::move(strings));
  CAPF_LET(install.deadlines, deadlines_from(request));
  CAPF_LET(install.run, run_from(request.run()));
  if (request.install()) apply.install = std::move(install);
  return apply;
}

}  // namespace capf::rpc
