#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/secret.h"
#include "capf/base/time.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/block_store.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/operation_store.h"
#include "capf/domain/page.h"
#include "capf/domain/phone_fetch.h"
#include "capf/domain/phone_store.h"
#include "capf/domain/security_change.h"
#include "capf/domain/summary_store.h"
#include "capf/rpc/server.h"
#include "capf/rules/fail.h"
#include "capf/service/addresses.h"
#include "capf/service/administrators.h"
#include "capf/service/bulk.h"
#include "capf/service/calls.h"
#include "capf/service/certificates.h"
#include "capf/service/checker.h"
#include "capf/service/digest_users.h"
#include "capf/service/issuers.h"
#include "capf/service/moving.h"
#include "capf/service/operations.h"
#include "capf/service/phones.h"
#include "capf/service/profiles.h"
#include "capf/service/records.h"
#include "capf/service/recovery.h"
#include "capf/service/shared_lines.h"
#include "capf/service/trust.h"
#include "capf/service/trust_lists.h"
#include "capf/service/trusted_certificates.h"
#include "capf/v1/admin.pb.h"
#include "capf/v1/monitor.pb.h"
#include "capf/v1/phone.pb.h"
#include "capf/v1/types.pb.h"

// All conversions between messages and the domain. Incoming values are checked: an enumerator that this build does not
// know, a size out of range, a control character in a text are errors, never a default.

namespace capf::rpc {

inline constexpr std::size_t kLargestCertificationRequest = 8192;
inline constexpr std::size_t kLargestText = 128;  ///< of a filter or a model

// ---- in

/// Years 1970 to 9999, 0 to 999,999,999 ns, cut to microseconds. Errors: INVALID_TIME.
Result<TimePoint> from_proto(const google::protobuf::Timestamp& time);
/// Errors: INVALID_TIME.
Result<service::CheckCursor> cursor_from(const v1::VerifyCertificatesRequest& request);
/// 0 to 10 years. Errors: INVALID_REQUEST.
Result<Duration> from_proto(const google::protobuf::Duration& duration);
/// Size 0 is 100. Errors: INVALID_REQUEST for a size out of range, INVALID_PAGE.
Result<Page> from_proto(const v1::PageRequest& page);
/// The same of a list that can begin with the newest.
Result<Page> page_from_either_end(const v1::PageRequest& page);
/// Of a list by name: the token is the last name.
Result<PhonePage> phone_page_from(const v1::PageRequest& page);
/// Errors: INVALID_KEY_POLICY, INVALID_REQUEST.
Result<SaidKey> from_proto(const v1::KeyPolicy& key);
// Errors of these: INVALID_REQUEST, also for UNSPECIFIED.
Result<OperationKind> from_proto(v1::OperationKind kind);
Result<OperationState> from_proto(v1::OperationState state);
Result<AuthMode> from_proto(v1::AuthMode mode);
Result<rules::PhoneFailure> from_proto(v1::ReportFailureRequest::Failure failure);

/// A field of a filter; nothing for UNSPECIFIED. Errors: INVALID_REQUEST.
Result<std::optional<OperationKind>> kind_filter(v1::OperationKind kind);

/// 4 to 10 digits; nothing for an empty text. Wipes the digits in the message, which gRPC hands out as const but owns
/// for this call alone. Errors: INVALID_AUTH_STRING.
Result<std::optional<Secret>> take_auth_string(const std::string& field);
/// Reads the parts of an existing CA, where there are some, and wipes them in the message.
/// Errors: INVALID_REQUEST, WRONG_PASSPHRASE, INVALID_CONFIGURATION, INVALID_CERTIFICATE.
Result<service::IssuerRequest> take_issuer(const v1::AddIssuerRequest& request);
/// Takes the passwords out of the message and wipes them there.
std::vector<service::DigestPassword> take_digest_users(const v1::AddDigestUsersRequest& request);
service::DigestPassword take_digest_password(const v1::SetDigestPasswordRequest& request);
/// 1 to 500 names. Errors: INVALID_DEVICE_NAME, INVALID_REQUEST.
Result<std::vector<DeviceName>> devices_from(const google::protobuf::RepeatedPtrField<std::string>& names);
/// Each device with its model, or with the one for all. Errors: also INVALID_REQUEST for models that are not as many.
Result<std::vector<service::NewPhone>> phones_from(const v1::AddPhonesRequest& request);
/// A text of at most kLargestText octets without control characters. @param what names it. Errors: INVALID_REQUEST.
Result<std::string> text_from(const std::string& text, std::string_view what);
/// "192.0.2.1", "2001:db8::1", or the block of one: "2001:db8::/64". Errors: INVALID_REQUEST.
Result<Address> address_from(const std::string& text);
/// A serial number or a device name, as text. Errors: INVALID_REQUEST.
Result<std::string> certificate_name_from(const std::string& text);
/// Errors: INVALID_REQUEST.
Result<Role> role_from(const std::string& text);
Result<RevocationReason> revocation_reason_from(const std::string& text);
/// 32 octets. Errors: INVALID_REQUEST.
Result<Sha256> digest_from(const std::string& octets);
/// A key by its SHA-256, and by its modulus where the key itself is there. Errors: INVALID_REQUEST.
Result<KeyDigests> key_from(const v1::RevokeKeyRequest& request);
/// Reads a cursor that WatchOperations handed out. Errors: INVALID_PAGE.
Result<ChangeCursor> cursor_from(const std::string& text);

/// Errors: INVALID_REQUEST, with the property and the value; INVALID_DEVICE_NAME, INVALID_PATTERN, INVALID_TIME.
Result<PhoneSelection> selection_from(const v1::PhoneSelection& selection);
/// The part of a bulk's request that every bulk has. Errors: those of the selection; INVALID_PAGE for a cursor that no
/// answer has given.
Result<service::Bulk> bulk_from(const v1::PhoneSelection& selection, std::int64_t count, const std::string& cursor);
/// The same of a bulk over operations. Errors: also INVALID_REQUEST for more devices than a call takes, a run that has
/// not kRunOctets, and what cannot be skipped.
Result<service::OperationBulk> bulk_from(const v1::OperationBulk& bulk);
/// Errors: INVALID_REQUEST.
Result<PhoneChange> change_from(const v1::ChangePhonesRequest& request);
/// Of CheckImport and ImportPhones: 1 to kPhonesInBatch phones. The use case judges the phones themselves.
/// Errors: INVALID_DEVICE_NAME, INVALID_REQUEST.
Result<service::PhoneImport> import_from(const google::protobuf::RepeatedPtrField<v1::ImportedPhone>& phones,
                                         bool update);
/// Errors: INVALID_REQUEST, INVALID_SETTING.
Result<service::NewProfile> profile_from(const v1::AddProfileRequest& request);
Result<ProfileChange> change_from(const v1::SetProfileRequest& request);
Result<service::OwnChange> change_from(const v1::ChangePhoneSettingsRequest& request);
/// Errors: INVALID_REQUEST.
Result<DeviceMode> mode_from(const std::string& text);
Result<SiteMode> site_mode_from(const std::string& text);
/// Of TracePhone and TracePhones. Errors: INVALID_TIME.
template <class Request>
Result<service::TraceRequest> trace_from(const Request& request) {
  service::TraceRequest trace{.off = request.off()};
  if (request.has_until() && !trace.off) {
    CAPF_LET(trace.until, from_proto(request.until()));
  }
  return trace;
}
Result<OperationFilter> filter_from(const v1::ListOperationsRequest& request);
Result<OperationFilter> filter_from(const v1::ListPendingRequest& request, TimePoint now);
Result<CertificateFilter> filter_from(const v1::ListCertificatesRequest& request);
/// Errors: INVALID_REQUEST, INVALID_PATTERN, INVALID_TIME, INVALID_SERIAL, those of a selection of phones;
/// INVALID_SELECTION for an empty one.
Result<CertificateSelection> selection_from(const v1::CertificateSelection& selection, const std::string& reason);
/// The same. Errors: also INVALID_PAGE for a cursor that no answer has given.
Result<service::SelectionRequest> selection_from(const v1::RevokeSelectionRequest& request);
Result<AuditFilter> filter_from(const v1::ListAuditRequest& request);
/// Errors: INVALID_DEVICE_NAME, INVALID_TIME.
Result<AuditFilter> filter_from(const v1::ListPhoneHistoryRequest& request);
/// Takes the strings out of the message and wipes them there. Errors: INVALID_REQUEST, INVALID_DEVICE_NAME,
/// INVALID_AUTH_STRING, INVALID_KEY_POLICY.
Result<service::Move> take_move(const v1::MovePhonesRequest& request);
/// Wipes the authentication string in the message.
Result<service::ScheduleRequest> schedule_from(const v1::ScheduleOperationsRequest& request);
/// Wipes the authentication strings in the message. Errors: also INVALID_AUTH_STRING.
Result<service::ScheduleBulk> schedule_from(const v1::ScheduleSelectionRequest& request);
/// The same of its strings.
Result<service::ApplyRequest> apply_from(const v1::ApplyProfileRequest& request);
Result<service::Confirmed> confirmed_from(const v1::RecoverSiteRequest& request);
Result<service::AnchorRequest> anchors_from(const v1::AddAnchorsRequest& request);
/// Errors: INVALID_REQUEST, also for 0 parties or more than kMostParties; INVALID_DEVICE_NAME.
Result<CallEnquiry> enquiry_from(const v1::ClassifyCallRequest& request);
/// The same.
Result<service::TrustedCertificateRequest> trusted_certificate_from(const v1::AddTrustedCertificateRequest& request);
/// "itl", "ctl". Errors: INVALID_REQUEST; for the others too.
Result<TrustListKind> list_kind_from(const std::string& text);
/// "sha1", "sha512"; empty: SHA-512.
Result<ListDigest> list_digest_from(const std::string& text);
/// "begin", "finish", "cancel"
Result<service::SignerStep> signer_step_from(const std::string& text);
Result<TrustedParty> trusted_party_from(const v1::AddTrustedPartyRequest& request);

// ---- out

void to_proto(TimePoint time, google::protobuf::Timestamp& out);
void to_proto(const KeyPolicy& key, v1::KeyPolicy& out);
v1::OperationKind to_proto(OperationKind kind);
v1::OperationState to_proto(OperationState state);
v1::AuthMode to_proto(AuthMode mode);
v1::KeyOrder to_proto(KeyOrder order);
void to_proto(const Operation& operation, TimePoint now, v1::Operation& out);
void to_proto(const Operation& operation, v1::PendingOperation& out);
std::string to_text(const service::BulkCursor& cursor);
void to_proto(const service::Scheduled& scheduled, TimePoint now, v1::ScheduledOperation& out);
void to_proto(const service::BulkPhone& phone, v1::BulkPhone& out);
void to_proto(const service::Problem& problem, v1::OperationProblem& out);
/// Of ScheduleSelection and CancelSelection.
template <class Response>
void to_proto(const service::BulkCheck& check, Response& response) {
  response.set_count(check.count);
  response.set_selected(static_cast<int>(check.phones.size() + check.problems.size()));
  for (const service::BulkPhone& phone : check.phones) to_proto(phone, *response.add_phones());
  for (const service::Problem& problem : check.problems) to_proto(problem, *response.add_problems());
  if (check.next) response.set_cursor(to_text(*check.next));
}
void to_proto(const service::BulkScheduled& answer, TimePoint now, v1::ScheduleSelectionResponse& out);
void to_proto(const service::BulkCancelled& answer, TimePoint now, v1::CancelSelectionResponse& out);
void to_proto(const Phone& phone, v1::Phone& out);
void to_proto(const service::LineView& view, v1::Line& out);
void to_proto(const LineMember& member, v1::LineDevice& out);
/// Of ListPhones and SelectPhones.
template <class Response>
void to_proto(const service::PhonesPage& page, Response& response) {
  for (const Phone& phone : page.phones) to_proto(phone, *response.add_phones());
  if (page.next) response.set_next_page_token(page.next->text());
}
/// Of ChangePhones and the acts upon a selection of phones.
template <class Response>
void to_proto(const service::ChangeAnswer& answer, Response& response) {
  response.set_selected(answer.selected);
  response.set_changed(answer.changed);
  if (answer.next) response.set_cursor(to_text(*answer.next));
}
/// Of CheckImport and ImportPhones.
template <class Response>
void to_proto(const service::ImportCount& count, Response& response) {
  response.set_added(count.added);
  response.set_changed(count.changed);
  response.set_unchanged(count.unchanged);
}
void to_proto(const service::ImportProblem& problem, v1::CheckImportResponse::Problem& out);
/// Empty where the mode is not lower.
std::string reason_of(ModeReason reason);
void to_proto(const Profile& profile, v1::Profile& out);
void to_proto(const service::ProfileEffect& effect, v1::SetProfileResponse& out);
void to_proto(const service::ApplyAnswer& answer, TimePoint now, v1::ApplyProfileResponse& out);
void to_proto(const EffectiveSettings& settings, google::protobuf::Map<std::string, v1::EffectiveSetting>& out);
/// Of AddProfile and GetProfile.
template <class Response>
void to_proto(const service::ProfileView& view, Response& response) {
  to_proto(view.profile, *response.mutable_profile());
  for (const std::string& words : view.warnings) response.add_warnings(words);
}
enum class WithDer : bool { kNo, kYes };
void to_proto(const Certificate& certificate, TimePoint now, WithDer with_der, v1::Certificate& out);
void to_proto(const BlockedCertificate& certificate, v1::BlockedCertificate& out);
void to_proto(const service::AddressView& view, v1::LimitedAddress& out);
void to_proto(const IssuerRecord& issuer, v1::Issuer& out);
/// Errors: CERTIFICATE_MALFORMED.
Status to_proto(const WireCertificate& certificate, v1::WireCertificate& out);
void to_proto(const service::IssuerView& view, v1::GetIssuerResponse& out);
void to_proto(const service::SiteState& state, v1::GetSiteResponse& out);
void to_proto(const service::Recovered& recovered, v1::RecoverSiteResponse& out);
void to_proto(const TrustAnchor& anchor, v1::Anchor& out);
void to_proto(const TrustCandidate& candidate, v1::TrustCandidate& out);
void to_proto(const TrustedCertificate& certificate, v1::TrustedCertificate& out);
void to_proto(const TrustedParty& party, v1::TrustedParty& out);
void to_proto(const service::ListReach& reach, v1::ListReach& out);
void to_proto(const service::ListView& view, v1::PresentList& out);
void to_proto(const service::BuiltList& built, v1::BuiltList& out);
void to_proto(TrustListKind kind, const ListGeneration& generation, v1::ListGeneration& out);
/// @param enquiry that the answer is to
void to_proto(const CallEnquiry& enquiry, const rules::CallAnswer& answer, v1::ClassifyCallResponse& out);
void to_proto(const service::AnchorOutcome& outcome, v1::AddAnchorsResponse::Outcome& out);
void to_proto(const Administrator& administrator, v1::Administrator& out);
void to_proto(const DigestUser& user, v1::DigestUser& out);
void to_proto(const PhoneFetch& fetch, v1::PhoneFetch& out);
void to_proto(const PhoneDigest& digest, v1::GetPhoneResponse& out);
void to_proto(const service::DigestPassword& user, v1::DigestPassword& out);
void to_proto(const service::DigestProblem& problem, v1::DigestUserProblem& out);
void to_proto(const service::DigestUserView& view, v1::GetDigestUserResponse& out);
void to_proto(const service::DigestExportRow& row, v1::DigestExportRow& out);
/// Wipes the HA1s of a row that has been sent.
void wipe(v1::DigestExportRow& row);
void to_proto(const AuditEvent& event, v1::AuditEvent& out);
void to_proto(const service::CheckPage& page, v1::VerifyCertificatesResponse& out);
void to_proto(const service::SealedBatch& batch, v1::SealedBatch& out);
void to_proto(const RefusalCount& refusal, v1::RefusalCount& out);
void to_proto(const Summary& summary, v1::GetSummaryResponse& out);
/// Finds the subject of a request: the device, certificate, anchor or administrator that it names; empty where it names
/// several or none.
std::string subject_of(const google::protobuf::Message& request);
/// Errors: INVALID_REQUEST.
Result<std::vector<int>> days_from(const v1::GetSummaryRequest& request);
void to_proto(const OperationChange& change, TimePoint now, v1::OperationChange& out);
void to_proto(const SecurityChange& change, TimePoint now, v1::SecurityChange& out);
std::string to_text(const ChangeCursor& cursor);
std::string to_text(const service::SelectionCursor& cursor);
/// The token for the next page, where this one is full; else empty.
template <class Row>
std::string next_page_token(const std::vector<Row>& rows, const Page& page) {
  return static_cast<int>(rows.size()) < page.limit ? std::string() : std::to_string(rows.back().id);
}

std::string to_octets(BytesView data);

}  // namespace capf::rpc
