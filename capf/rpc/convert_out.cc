#include "capf/ca/certificate.h"
#include "capf/rpc/convert.h"
#include "capf/rpc/status.h"

namespace capf::rpc {
namespace {

std::string text(std::string_view spelling) { return std::string(spelling); }
std::string text(const std::optional<Reason>& reason) { return reason ? text(to_string(*reason)) : std::string(); }

void add_certificates(BytesView one_after_the_other, google::protobuf::RepeatedPtrField<std::string>& out) {
  if (one_after_the_other.empty()) return;
  const auto certificates = ca::split_certificates(one_after_the_other);
  if (!certificates) return;  // the record was checked when it was written
  for (const Bytes& certificate : *certificates) *out.Add() = to_octets(certificate);
}

}  // namespace

std::string to_octets(BytesView data) { return std::string(as_text(data)); }

void to_proto(TimePoint time, google::protobuf::Timestamp& out) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  out.set_seconds(seconds.time_since_epoch().count());
  out.set_nanos(static_cast<std::int32_t>((time - seconds).count() * 1000));
}

v1::OperationKind to_proto(OperationKind kind) {
  switch (kind) {
    case OperationKind::kInstall: return v1::OPERATION_KIND_INSTALL;
    case OperationKind::kDelete: return v1::OPERATION_KIND_DELETE;
    case OperationKind::kTroubleshoot: return v1::OPERATION_KIND_TROUBLESHOOT;
  }
  CAPF_INVARIANT(false);
}

v1::OperationState to_proto(OperationState state) {
  switch (state) {
    case OperationState::kPending: return v1::OPERATION_STATE_PENDING;
    case OperationState::kInProgress: return v1::OPERATION_STATE_IN_PROGRESS;
    case OperationState::kIssued: return v1::OPERATION_STATE_ISSUED;
    case OperationState::kSucceeded: return v1::OPERATION_STATE_SUCCEEDED;
    case OperationState::kFailed: return v1::OPERATION_STATE_FAILED;
    case OperationState::kExpired: return v1::OPERATION_STATE_EXPIRED;
    case OperationState::kCancelled: return v1::OPERATION_STATE_CANCELLED;
  }
  CAPF_INVARIANT(false);
}

v1::AuthMode to_proto(AuthMode mode) {
  switch (mode) {
    case AuthMode::kString: return v1::AUTH_MODE_STRING;
    case AuthMode::kNull: return v1::AUTH_MODE_NULL;
    case AuthMode::kLsc: return v1::AUTH_MODE_LSC;
    case AuthMode::kMic: return v1::AUTH_MODE_MIC;
  }
  CAPF_INVARIANT(false);
}

v1::KeyOrder to_proto(KeyOrder order) {
  switch (order) {
    case KeyOrder::kRsa: return v1::KEY_ORDER_RSA;
    case KeyOrder::kEc: return v1::KEY_ORDER_EC;
    case KeyOrder::kEcRsa: return v1::KEY_ORDER_EC_RSA;
  }
  CAPF_INVARIANT(false);
}

void to_proto(const KeyPolicy& key, v1::KeyPolicy& out) {
  out.set_order(to_proto(key.order));
  out.set_rsa_bits(key.rsa_bits);
  out.set_ec_bits(key.ec_bits);
}

namespace {

std::string value_of(const Operation& operation, Term term) {
  switch (term) {
    case Term::kAuth: return text(to_string(operation.auth));
    case Term::kKeyOrder: return text(to_string(operation.key.order));
    case Term::kRsaBits: return std::to_string(operation.key.rsa_bits);
    case Term::kEcBits: return std::to_string(operation.key.ec_bits);
    case Term::kCompletesBy: return to_rfc3339(operation.completes_by);
    case Term::kLscValidity:
      return std::to_string(std::chrono::duration_cast<std::chrono::days>(operation.lsc->validity).count());
    case Term::kLscSubject: return text(to_string(operation.lsc->subject));
  }
  CAPF_INVARIANT(false);
}

void add_settings(const Operation& operation, google::protobuf::Map<std::string, v1::EffectiveSetting>& out) {
  if (!operation.owners || !operation.lsc) return;
  for (const Term term : kTerms) {
    v1::EffectiveSetting& setting = out[text(to_string(term))];
    setting.set_value(value_of(operation, term));
    setting.set_from(text(to_string((*operation.owners)[term])));
  }
}

}  // namespace

void to_proto(const Operation& operation, TimePoint now, v1::Operation& out) {
  out.set_id(operation.id);
  out.set_device(operation.device.text());
  out.set_kind(to_proto(operation.kind));
  out.set_state(to_proto(operation.state));
  out.set_auth(to_proto(operation.auth));
  to_proto(operation.key, *out.mutable_key());
  out.set_reason(text(operation.reason));
  out.set_message(to_utf8(operation.message));
  to_proto(operation.created_at, *out.mutable_created_at());
  to_proto(operation.completes_by, *out.mutable_completes_by());
  if (operation.finished_at) to_proto(*operation.finished_at, *out.mutable_finished_at());
  out.set_created_by(operation.created_by);
  out.set_self_service(operation.self_service);
  out.set_overdue(operation.overdue(now));
  if (operation.authenticated_by) out.set_authenticated_by(text(to_string(*operation.authenticated_by)));
  out.set_expired_mic(operation.expired_mic);
  out.set_status(operation_status(operation.kind, operation.state, operation.reason));
  add_settings(operation, *out.mutable_settings());
}

void to_proto(const Operation& operation, v1::PendingOperation& out) {
  out.set_id(operation.id);
  out.set_kind(to_proto(operation.kind));
  out.set_state(to_proto(operation.state));
  out.set_auth(to_proto(operation.auth));
  to_proto(operation.key, *out.mutable_key());
  if (operation.id != 0) to_proto(operation.completes_by, *out.mutable_completes_by());
  out.set_self_service(operation.self_service);
}

std::string reason_of(ModeReason reason) {
  return reason == ModeReason::kNone ? std::string() : text(to_string(reason));
}

void to_proto(const Profile& profile, v1::Profile& out) {
  out.set_id(profile.id);
  out.set_name(profile.name);
  out.set_description(profile.description);
  out.set_mode(text(to_string(profile.mode)));
  out.mutable_settings()->insert(profile.settings.begin(), profile.settings.end());
  out.set_revision(profile.revision);
  to_proto(profile.created_at, *out.mutable_created_at());
  to_proto(profile.changed_at, *out.mutable_changed_at());
  out.set_phones(profile.phones);
}

void to_proto(const service::ProfileEffect& effect, v1::SetProfileResponse& out) {
  to_proto(effect.view, out);
  out.set_phones(effect.view.profile.phones);
  out.set_mode_changes(effect.mode_changes);
  out.set_restarts(effect.restarts);
}

void to_proto(const service::ApplyAnswer& answer, TimePoint now, v1::ApplyProfileResponse& out) {
  const auto add = [](const service::PhoneFinding& finding, v1::OperationProblem& problem) {
    problem.set_device(finding.device);
    if (finding.reason) problem.set_reason(text(to_string(*finding.reason)));
    problem.set_message(finding.message);
  };
  out.set_selected(answer.selected);
  out.set_changed(answer.changed);
  out.set_waiting(answer.waiting);
  for (const service::PhoneFinding& problem : answer.problems) add(problem, *out.add_problems());
  for (const service::PhoneFinding& remark : answer.remarks) add(remark, *out.add_remarks());
  for (const service::Scheduled& scheduled : answer.operations) to_proto(scheduled, now, *out.add_operations());
  for (const service::BulkPhone& phone : answer.installs) to_proto(phone, *out.add_installs());
  out.set_count(answer.count);
  if (answer.next) out.set_cursor(to_text(*answer.next));
}

void to_proto(const EffectiveSettings& settings, google::protobuf::Map<std::string, v1::EffectiveSetting>& out) {
  for (const auto& [name, effective] : settings.all()) {
    v1::EffectiveSetting& setting = out[name];
    setting.set_value(effective.value);
    setting.set_from(text(to_string(effective.from)));
  }
}

void to_proto(const Phone& phone, v1::Phone& out) {
  out.set_id(phone.id);
  out.set_device(phone.device.text());
  out.set_model(to_utf8(phone.model));
  to_proto(phone.created_at, *out.mutable_created_at());
  if (phone.blocked_at) to_proto(*phone.blocked_at, *out.mutable_blocked_at());
  if (phone.mic_sha256) out.set_mic_sha256(to_hex(*phone.mic_sha256));
  if (phone.traced_until) to_proto(*phone.traced_until, *out.mutable_traced_until());
  if (phone.self_service_stopped_at) to_proto(*phone.self_service_stopped_at, *out.mutable_self_service_stopped_at());
  if (phone.string_locked_until) to_proto(*phone.string_locked_until, *out.mutable_string_locked_until());
  out.set_description(to_utf8(phone.description));
  for (const std::string& tag : phone.tags) out.add_tags(tag);
  if (phone.first_seen) to_proto(*phone.first_seen, *out.mutable_first_seen());
  if (phone.last_seen) to_proto(*phone.last_seen, *out.mutable_last_seen());
  out.set_lsc_status(text(to_string(phone.lsc.status)));
  if (phone.lsc.not_after) to_proto(*phone.lsc.not_after, *out.mutable_lsc_not_after());
  out.set_lsc_issuer_id(phone.lsc.issuer_id);
  out.set_profile(phone.profile);
  out.set_mode(text(to_string(phone.mode)));
  out.set_effective_mode(text(to_string(phone.effective_mode)));
  out.set_mode_reason(reason_of(phone.mode_reason));
  if (!phone.last_attempt) return;
  const Attempt& attempt = *phone.last_attempt;
  v1::Attempt& last = *out.mutable_last_attempt();
  to_proto(attempt.at, *last.mutable_at());
  last.set_address(attempt.address);
  last.set_transport(attempt.transport);
  last.set_reason(text(to_string(attempt.reason)));
  last.set_message(to_utf8(attempt.message));
  last.set_status(cisco_status(attempt.kind, OperationState::kFailed, attempt.reason));
}

void to_proto(const service::LineView& view, v1::Line& out) {
  out.set_name(view.line.name);
  out.set_devices(static_cast<int>(view.members.size()));
  out.set_mixed(view.mixed);
  out.set_mixed_in_effect(view.mixed_in_effect);
  out.set_allow_mixed(view.line.allow_mixed);
  to_proto(view.line.added_at, *out.mutable_added_at());
  out.set_added_by(to_utf8(view.line.added_by));
}

void to_proto(const LineMember& member, v1::LineDevice& out) {
  const EffectiveMode effective = effective_mode(member.facts);
  out.set_device(member.device.text());
  out.set_mode(text(to_string(member.facts.profile)));
  out.set_effective_mode(text(to_string(effective.mode)));
  if (effective.reason != ModeReason::kNone) out.set_mode_reason(text(to_string(effective.reason)));
}

void to_proto(const Certificate& certificate, TimePoint now, WithDer with_der, v1::Certificate& out) {
  out.set_id(certificate.id);
  out.set_serial(serial_text(certificate.serial));
  out.set_device(certificate.device);
  out.set_issuer(to_utf8(certificate.issuer));
  to_proto(certificate.not_before, *out.mutable_not_before());
  to_proto(certificate.not_after, *out.mutable_not_after());
  out.set_state(text(to_string(certificate.state(now))));
  if (certificate.revocation_reason) out.set_revocation_reason(text(to_string(*certificate.revocation_reason)));
  if (with_der == WithDer::kYes) out.set_der(to_octets(certificate.der));
  out.set_sha256(to_hex(certificate.sha256));
  if (certificate.revoked_at) to_proto(*certificate.revoked_at, *out.mutable_revoked_at());
  if (certificate.confirmed_at) to_proto(*certificate.confirmed_at, *out.mutable_confirmed_at());
  if (certificate.superseded_at) to_proto(*certificate.superseded_at, *out.mutable_superseded_at());
  out.set_possession(text(to_string(certificate.possession)));
  out.set_kind(text(to_string(certificate.kind)));
}

void to_proto(const BlockedCertificate& certificate, v1::BlockedCertificate& out) {
  out.set_sha256(to_hex(certificate.sha256));
  out.set_key_sha256(to_hex(certificate.key.sha256));
  out.set_subject(to_utf8(certificate.subject));
  out.set_issuer(to_utf8(certificate.issuer));
  out.set_serial(serial_text(certificate.serial));
  to_proto(certificate.not_after, *out.mutable_not_after());
  to_proto(certificate.blocked_at, *out.mutable_blocked_at());
  out.set_blocked_by(certificate.blocked_by);
}

void to_proto(const service::ImportProblem& problem, v1::CheckImportResponse::Problem& out) {
  out.set_place(static_cast<int>(problem.place));
  out.set_reason(std::string(to_string(problem.error.reason)));
  out.set_message(problem.error.message);
}

void to_proto(const service::AddressView& view, v1::LimitedAddress& out) {
  out.set_address(view.reached.address_block);
  out.set_device(view.reached.device);
  out.set_strings(view.reached.strings);
  out.set_limit(view.limit);
  to_proto(view.reached.until, *out.mutable_until());
}

void to_proto(const IssuerRecord& issuer, v1::Issuer& out) {
  out.set_id(issuer.id);
  out.set_subject(to_utf8(issuer.subject));
  out.set_sha256(to_hex(issuer.sha256));
  to_proto(issuer.not_before, *out.mutable_not_before());
  to_proto(issuer.not_after, *out.mutable_not_after());
  out.set_active(issuer.active);
  out.set_state(std::string(to_string(issuer.state())));
  out.set_shards(issuer.shards);
  to_proto(issuer.added_at, *out.mutable_added_at());
  if (issuer.activated_at) to_proto(*issuer.activated_at, *out.mutable_activated_at());
  if (issuer.retired_at) to_proto(*issuer.retired_at, *out.mutable_retired_at());
  out.set_der(to_octets(issuer.der));
  add_certificates(issuer.chain_der, *out.mutable_chain());
}

Status to_proto(const WireCertificate& certificate, v1::WireCertificate& out) {
  CAPF_LET(const auto facts, ca::read_certificate(certificate.der));
  out.set_name(certificate.name);
  out.set_shown(certificate.shown);
  out.set_subject(to_utf8(facts.subject));
  out.set_sha256(to_hex(facts.sha256));
  to_proto(facts.not_before, *out.mutable_not_before());
  to_proto(facts.not_after, *out.mutable_not_after());
  out.set_der(to_octets(certificate.der));
  return {};
}

void to_proto(const service::SiteState& state, v1::GetSiteResponse& out) {
  v1::Site& site = *out.mutable_site();
  to_proto(state.at, *site.mutable_at());
  for (const IssuerRecord& issuer : state.issuers) to_proto(issuer, *site.add_issuers());
  for (const CrlMark& crl : state.crls) {
    v1::CrlNumber& number = *site.add_crls();
    number.set_issuer(crl.shard.issuer_id);
    number.set_shard(crl.shard.shard);
    number.set_number(crl.number);
  }
  for (const Administrator& administrator : state.administrators) to_proto(administrator, *site.add_administrators());
  for (const TrustAnchor& anchor : state.anchors) to_proto(anchor, *site.add_anchors());
  site.set_security_mode(text(to_string(state.mode)));
  if (state.last_seal) {
    site.set_last_seal(state.last_seal->number);
    site.set_last_seal_sha256(to_hex(state.last_seal->sha256));
  }
  out.set_behind(state.behind.value_or(""));
  out.set_clock(state.clock.value_or(""));
  out.set_record(state.record.value_or(""));
}

void to_proto(const service::Recovered& recovered, v1::RecoverSiteResponse& out) {
  out.set_revocations(recovered.revocations);
  out.set_unknown(recovered.unknown);
  out.set_operations(recovered.operations);
  out.set_phones(recovered.phones);
  out.set_seal(recovered.seal);
  out.set_made_up(recovered.made_up);
  out.set_withdrawn(recovered.withdrawn);
}

void to_proto(const service::IssuerView& view, v1::GetIssuerResponse& out) {
  to_proto(view.record, *out.mutable_issuer());
  out.set_valid(view.use.valid);
  out.set_revoked(view.use.revoked);
  if (view.use.last_expiry) to_proto(*view.use.last_expiry, *out.mutable_last_expiry());
  for (const ServerRecord& server : view.servers) {
    v1::Server& row = *out.add_servers();
    row.set_name(to_utf8(server.name));
    row.set_version(to_utf8(server.version));
    to_proto(server.started_at, *row.mutable_started_at());
    to_proto(server.seen_at, *row.mutable_seen_at());
    row.mutable_issuers()->Assign(server.issuers.begin(), server.issuers.end());
  }
}

void to_proto(const TrustAnchor& anchor, v1::Anchor& out) {
  out.set_sha256(to_hex(anchor.sha256));
  out.set_store(text(to_string(anchor.store)));
  out.set_subject(to_utf8(anchor.subject));
  to_proto(anchor.not_before, *out.mutable_not_before());
  to_proto(anchor.not_after, *out.mutable_not_after());
  out.set_devices(anchor.devices.text());
  out.set_models(anchor.models.text());
  out.set_allow_sha1(anchor.allow_sha1);
  out.set_min_rsa_bits(anchor.min_rsa_bits);
  if (anchor.allow_expired_until) to_proto(*anchor.allow_expired_until, *out.mutable_allow_expired_until());
  if (anchor.ends_at) to_proto(*anchor.ends_at, *out.mutable_ends_at());
  to_proto(anchor.added_at, *out.mutable_added_at());
  out.set_added_by(anchor.added_by);
  out.set_der(to_octets(anchor.der));
}

void to_proto(const TrustCandidate& candidate, v1::TrustCandidate& out) {
  out.set_issuer(to_utf8(candidate.issuer.name));
  out.set_key_identifier(to_hex(candidate.issuer.key_identifier));
  out.set_subject(to_utf8(candidate.issuer.subject));
  out.set_certificate_sha256(to_hex(candidate.issuer.sha256));
  out.set_count(candidate.count);
  to_proto(candidate.first_at, *out.mutable_first_at());
  to_proto(candidate.last_at, *out.mutable_last_at());
  for (const std::string& device : candidate.devices) out.add_devices(device);
  for (const std::string& address : candidate.addresses) out.add_addresses(address);
}

void to_proto(const service::AnchorOutcome& outcome, v1::AddAnchorsResponse::Outcome& out) {
  out.set_subject(to_utf8(outcome.subject));
  out.set_sha256(to_hex(outcome.sha256));
  out.set_added(!outcome.left_out);
  if (!outcome.left_out) return;
  out.set_reason(text(to_string(outcome.left_out->reason)));
  out.set_message(to_utf8(outcome.left_out->message));
}

void to_proto(const Administrator& administrator, v1::Administrator& out) {
  out.set_name(administrator.name);
  out.set_role(text(to_string(administrator.role)));
  out.set_certificate_sha256(to_hex(administrator.certificate_sha256));
  to_proto(administrator.certificate_not_after, *out.mutable_certificate_not_after());
  to_proto(administrator.created_at, *out.mutable_created_at());
  out.set_created_by(administrator.created_by);
  if (administrator.disabled_at) to_proto(*administrator.disabled_at, *out.mutable_disabled_at());
  if (administrator.ends_at) to_proto(*administrator.ends_at, *out.mutable_ends_at());
}

void to_proto(const AuditEvent& event, v1::AuditEvent& out) {
  out.set_id(event.id);
  to_proto(event.at, *out.mutable_at());
  out.set_actor_kind(text(to_string(event.actor.kind)));
  out.set_actor(to_utf8(event.actor.name));
  out.set_address(event.actor.address);
  out.set_action(event.action);
  out.set_subject(to_utf8(event.subject));
  out.set_operation_id(event.operation_id);
  out.set_outcome(event.outcome);
  out.set_reason(text(event.reason));
  out.set_detail(to_utf8(event.detail));
}

void to_proto(const service::CheckPage& page, v1::VerifyCertificatesResponse& out) {
  out.set_checked(page.checked);
  for (const Finding& finding : page.findings) {
    v1::CertificateFinding& found = *out.add_findings();
    found.set_serial(finding.serial);
    found.set_device(finding.device);
    found.set_what(finding.what);
    found.set_message(finding.words);
  }
  if (!page.next) return;
  to_proto(page.next->issued_at, *out.mutable_since());
  out.set_after(page.next->id);
}

void to_proto(const service::SealedBatch& batch, v1::SealedBatch& out) {
  v1::AuditSeal& seal = *out.mutable_seal();
  seal.set_number(batch.seal.number);
  to_proto(batch.seal.sealed_at, *seal.mutable_sealed_at());
  seal.set_events(batch.seal.events);
  seal.set_last_transaction(batch.seal.last.transaction);
  seal.set_last_id(batch.seal.last.id);
  seal.set_content(to_octets(batch.seal.content));
  seal.set_previous(to_octets(batch.seal.previous));
  seal.set_signature(to_octets(batch.seal.signature));
  for (const SealRemark& remark : batch.remarks) {
    v1::SealRemark& one = *out.add_remarks();
    one.set_kind(text(to_string(remark.kind)));
    one.set_words(to_utf8(remark.words));
    one.set_signature(to_octets(remark.signature));
  }
  for (const AuditRecord& record : batch.events) {
    v1::AuditEvent& event = *out.add_events();
    event.set_id(record.id);
    to_proto(record.at, *event.mutable_at());
    event.set_actor_kind(record.actor_kind);
    event.set_actor(record.actor);
    event.set_address(record.address);
    event.set_action(record.action);
    event.set_subject(record.subject);
    event.set_operation_id(record.operation_id);
    event.set_outcome(record.outcome);
    event.set_reason(record.reason);
    event.set_detail(record.detail);
  }
}

void to_proto(const RefusalCount& refusal, v1::RefusalCount& out) {
  to_proto(refusal.minute, *out.mutable_minute());
  out.set_address_block(refusal.address_block);
  out.set_reason(text(to_string(refusal.reason)));
  out.set_device(refusal.device);
  out.set_count(refusal.count);
}

void to_proto(const Summary& summary, v1::GetSummaryResponse& out) {
  for (const auto& [state, count] : summary.operations) (*out.mutable_operations())[text(to_string(state))] = count;
  for (const auto& [reason, count] : summary.reasons) (*out.mutable_reasons())[reason] = count;
  for (const auto& [reason, count] : summary.refusals) (*out.mutable_refusals())[reason] = count;
  out.set_overdue(summary.overdue);
  if (summary.oldest_pending) to_proto(*summary.oldest_pending, *out.mutable_oldest_pending());
  out.set_phones(summary.phones);
  out.set_lscs_expiring_30_days(summary.lscs_expiring.at(30));
  out.set_lscs_expiring_7_days(summary.lscs_expiring.at(7));
  out.set_lscs_expiring_1_day(summary.lscs_expiring.at(1));
  out.mutable_lscs_expiring()->insert(summary.lscs_expiring.begin(), summary.lscs_expiring.end());
  out.set_lscs_expired(summary.lscs_expired);
  out.set_lscs_unconfirmed(summary.lscs_unconfirmed);
  out.set_renewals_late(summary.renewals_late);
  if (summary.issuer_not_after) to_proto(*summary.issuer_not_after, *out.mutable_issuer_not_after());
  const PhoneModes modes = phone_modes(summary.modes, summary.phones);
  for (const auto& [mode, phones] : modes.profile) (*out.mutable_profile_modes())[text(to_string(mode))] = phones;
  for (const auto& [mode, phones] : modes.effective) (*out.mutable_effective_modes())[text(to_string(mode))] = phones;
  for (const auto& [reason, phones] : modes.not_in_effect) {
    if (phones > 0) (*out.mutable_modes_not_in_effect())[text(to_string(reason))] = phones;
  }
  out.set_digest_without_user(modes.without_digest_user);
  for (const Expiry& expiry : summary.expiries) {
    v1::Expiry& each = *out.add_expiries();
    each.set_kind(text(to_string(expiry.kind)));
    each.set_name(to_utf8(expiry.name));
    if (expiry.role) each.set_role(text(to_string(*expiry.role)));
    to_proto(expiry.not_after, *each.mutable_not_after());
    if (expiry.renews_at) to_proto(*expiry.renews_at, *each.mutable_renews_at());
    each.set_spare(expiry.spare);
  }
}

void to_proto(const OperationChange& change, TimePoint now, v1::OperationChange& out) {
  if (change.operation) to_proto(*change.operation, now, *out.mutable_operation());
  out.set_action(change.event.action);
  to_proto(change.event.at, *out.mutable_at());
  out.set_outcome(change.event.outcome);
  out.set_reason(text(change.event.reason));
  out.set_cursor(to_text(change.cursor));
}

void to_proto(const SecurityChange& change, TimePoint, v1::SecurityChange& out) {
  out.set_kind(text(to_string(change.kind)));
  to_proto(change.at, *out.mutable_at());
  out.set_device(change.device);
  out.set_profile(to_utf8(change.profile));
  out.set_profile_id(change.profile_id);
  out.set_mode(change.mode);
  if (change.facts) {
    const EffectiveMode effective = effective_mode(*change.facts);
    out.set_mode(text(to_string(change.facts->profile)));
    out.set_effective_mode(text(to_string(effective.mode)));
    if (effective.reason != ModeReason::kNone) out.set_mode_reason(text(to_string(effective.reason)));
  }
  out.set_reason(change.revocation ? text(to_string(*change.revocation)) : change.reason);
  if (!change.serial.empty()) out.set_serial(serial_text(change.serial));
  if (change.sha256) out.set_sha256(to_hex(*change.sha256));
  out.set_digest_user(to_utf8(change.digest_user));
  out.set_cursor(to_text(change.cursor));
}

std::string to_text(const ChangeCursor& cursor) {
  return std::to_string(cursor.transaction) + '.' + std::to_string(cursor.id);
}

std::string to_text(const service::SelectionCursor& cursor) {
  return std::to_string(cursor.through) + '.' + std::to_string(cursor.phone_id);
}

void to_proto(const service::Scheduled& scheduled, TimePoint now, v1::ScheduledOperation& out) {
  to_proto(scheduled.operation, now, *out.mutable_operation());
  out.set_auth_string(std::string(scheduled.auth_string.text()));
}

void to_proto(const service::BulkPhone& phone, v1::BulkPhone& out) {
  out.set_device(phone.phone.device.text());
  out.set_description(phone.phone.description);
  for (const std::string& tag : phone.phone.tags) out.add_tags(tag);
  out.set_done(phone.done);
  out.set_no_anchor(phone.prospect.no_anchor);
  out.set_without_lsc(phone.prospect.without_lsc);
  if (!phone.terms) return;
  out.set_auth(to_proto(phone.terms->auth));
  to_proto(phone.terms->completes_by, *out.mutable_completes_by());
}

void to_proto(const service::Problem& problem, v1::OperationProblem& out) {
  out.set_device(problem.device);
  out.set_reason(std::string(to_string(problem.reason)));
  out.set_message(problem.message);
}

void to_proto(const service::BulkScheduled& answer, TimePoint now, v1::ScheduleSelectionResponse& out) {
  out.set_selected(answer.selected);
  for (const service::Scheduled& scheduled : answer.operations) to_proto(scheduled, now, *out.add_operations());
  for (const service::Problem& problem : answer.problems) to_proto(problem, *out.add_problems());
  to_proto(answer.completes_by, *out.mutable_completes_by());
  if (answer.next) out.set_cursor(to_text(*answer.next));
}

void to_proto(const service::BulkCancelled& answer, TimePoint now, v1::CancelSelectionResponse& out) {
  out.set_selected(answer.selected);
  for (const Operation& operation : answer.operations) to_proto(operation, now, *out.add_operations());
  for (const service::Problem& problem : answer.problems) to_proto(problem, *out.add_problems());
  if (answer.next) out.set_cursor(to_text(*answer.next));
}

}  // namespace capf::rpc
