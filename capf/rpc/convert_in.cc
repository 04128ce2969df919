#include <algorithm>

#include <botan/mem_ops.h>

#include "capf/ca/container.h"
#include "capf/ca/site.h"
#include "capf/ca/spki.h"
#include "capf/rpc/convert.h"
#include "capf/rpc/convert_field.h"

namespace capf::rpc {
namespace {

constexpr std::int64_t kLastSecond = 253'402'300'799;  // 9999-12-31T23:59:59Z
constexpr std::int64_t kLongestSeconds = 10LL * 366 * 24 * 3600;
constexpr int kMostDays = 36500;
constexpr int kMostNumbersOfDays = 16;
constexpr int kMostAnchorFiles = 1000;

/// The same as DeviceName::parse(), with the name in the error.
Result<DeviceName> device_from(const std::string& name) {
  constexpr std::size_t kShown = 60;
  auto device = DeviceName::parse(name);
  if (device) return device;
  return fail(Reason::kInvalidDeviceName, "\"" + name.substr(0, kShown) + "\": " + device.error().message);
}

Result<std::optional<DeviceName>> optional_device(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return DeviceName::parse(text);
}

Result<std::optional<std::string>> optional_text(const std::string& text, std::string_view what) {
  if (text.empty()) return std::nullopt;
  return text_from(text, what);
}

Result<Pattern> pattern_from(const std::string& text) { return text.empty() ? Pattern::any() : Pattern::parse(text); }

Status check_size(const v1::PageRequest& page) {
  if (page.size() < 0 || page.size() > kLargestPage) {
    return malformed("a page has 1 to " + std::to_string(kLargestPage) + " rows");
  }
  return {};
}

}  // namespace

Result<std::optional<TimePoint>> optional_time(bool present, const google::protobuf::Timestamp& time) {
  if (!present) return std::nullopt;
  return from_proto(time);
}

Secret take_secret(const std::string& field) {
  Secret secret{std::string_view(field)};
  auto& octets = const_cast<std::string&>(field);
  Botan::secure_scrub_memory(octets.data(), octets.size());
  return secret;
}

Result<TimePoint> from_proto(const google::protobuf::Timestamp& time) {
  if (time.seconds() < 0 || time.seconds() > kLastSecond || time.nanos() < 0 || time.nanos() > 999'999'999) {
    return fail(Reason::kInvalidTime, "a time is between 1970 and 9999");
  }
  return TimePoint(std::chrono::seconds(time.seconds()) + std::chrono::microseconds(time.nanos() / 1000));
}

Result<Duration> from_proto(const google::protobuf::Duration& duration) {
  if (duration.seconds() < 0 || duration.seconds() > kLongestSeconds || duration.nanos() < 0 ||
      duration.nanos() > 999'999'999) {
    return malformed("a duration is between 0 and 10 years");
  }
  return Duration(std::chrono::seconds(duration.seconds()) + std::chrono::microseconds(duration.nanos() / 1000));
}

Result<Page> from_proto(const v1::PageRequest& page) {
  if (page.newest()) return fail(Reason::kInvalidPage, "this list has no other end to begin at");
  return page_from_either_end(page);
}

Result<Page> page_from_either_end(const v1::PageRequest& page) {
  CAPF_TRY(check_size(page));
  Page result;
  result.newest = page.newest();
  if (page.size() > 0) result.limit = page.size();
  if (!page.token().empty()) {
    const auto after = number_from<std::int64_t>(page.token());
    if (!after) return fail(Reason::kInvalidPage);
    result.after = *after;
  }
  return result;
}

Result<PhonePage> phone_page_from(const v1::PageRequest& page) {
  CAPF_TRY(check_size(page));
  if (page.newest()) return fail(Reason::kInvalidPage, "phones are listed by their names");
  PhonePage result;
  if (page.size() > 0) result.limit = page.size();
  if (!page.token().empty()) {
    const auto after = DeviceName::parse(page.token());
    if (!after) return fail(Reason::kInvalidPage);
    result.after = *after;
  }
  return result;
}

Result<SaidKey> from_proto(const v1::KeyPolicy& key) {
  SaidKey said;
  switch (key.order()) {
    case v1::KEY_ORDER_UNSPECIFIED: break;
    case v1::KEY_ORDER_RSA: said.order = KeyOrder::kRsa; break;
    case v1::KEY_ORDER_EC: said.order = KeyOrder::kEc; break;
    case v1::KEY_ORDER_EC_RSA: said.order = KeyOrder::kEcRsa; break;
    default: return malformed("unknown key order");
  }
  if (key.rsa_bits() != 0) said.rsa_bits = key.rsa_bits();
  if (key.ec_bits() != 0) said.ec_bits = key.ec_bits();
  CAPF_TRY(said.check());
  return said;
}

Result<OperationKind> from_proto(v1::OperationKind kind) {
  switch (kind) {
    case v1::OPERATION_KIND_INSTALL: return OperationKind::kInstall;
    case v1::OPERATION_KIND_DELETE: return OperationKind::kDelete;
    case v1::OPERATION_KIND_TROUBLESHOOT: return OperationKind::kTroubleshoot;
    default: return malformed("an operation is install, delete or troubleshoot");
  }
}

Result<OperationState> from_proto(v1::OperationState state) {
  switch (state) {
    case v1::OPERATION_STATE_PENDING: return OperationState::kPending;
    case v1::OPERATION_STATE_IN_PROGRESS: return OperationState::kInProgress;
    case v1::OPERATION_STATE_ISSUED: return OperationState::kIssued;
    case v1::OPERATION_STATE_SUCCEEDED: return OperationState::kSucceeded;
    case v1::OPERATION_STATE_FAILED: return OperationState::kFailed;
    case v1::OPERATION_STATE_EXPIRED: return OperationState::kExpired;
    case v1::OPERATION_STATE_CANCELLED: return OperationState::kCancelled;
    default: return malformed("unknown state of an operation");
  }
}

Result<AuthMode> from_proto(v1::AuthMode mode) {
  switch (mode) {
    case v1::AUTH_MODE_STRING: return AuthMode::kString;
    case v1::AUTH_MODE_NULL: return AuthMode::kNull;
    case v1::AUTH_MODE_LSC: return AuthMode::kLsc;
    case v1::AUTH_MODE_MIC: return AuthMode::kMic;
    default: return malformed("a phone authenticates by string, null, lsc or mic");
  }
}

Result<rules::PhoneFailure> from_proto(v1::ReportFailureRequest::Failure failure) {
  switch (failure) {
    case v1::ReportFailureRequest::FAILURE_KEY_GENERATION: return rules::PhoneFailure::kKeyGeneration;
    case v1::ReportFailureRequest::FAILURE_STORE: return rules::PhoneFailure::kStore;
    case v1::ReportFailureRequest::FAILURE_DELETE: return rules::PhoneFailure::kDelete;
    default: return malformed("unknown failure");
  }
}

Result<std::optional<OperationKind>> kind_filter(v1::OperationKind kind) {
  if (kind == v1::OPERATION_KIND_UNSPECIFIED) return std::nullopt;
  return from_proto(kind);
}

Result<std::optional<Secret>> take_auth_string(const std::string& field) {
  if (field.empty()) return std::nullopt;
  const bool good = field.size() >= 4 && field.size() <= 10 &&
                    std::all_of(field.begin(), field.end(), [](char c) { return c >= '0' && c <= '9'; });
  Secret secret = take_secret(field);
  if (!good) return fail(Reason::kInvalidAuthString);
  return secret;
}

Result<service::IssuerRequest> take_issuer(const v1::AddIssuerRequest& request) {
  service::IssuerRequest wanted;
  const Secret certificates = take_secret(request.certificates());  // a PKCS #12 file holds a key
  const Secret key = take_secret(request.private_key());
  const Secret passphrase = take_secret(request.passphrase());
  if (request.shards() != 0) wanted.shards = request.shards();
  CAPF_LET(wanted.token, text_from(request.token(), "a token's URI"));
  if (certificates.empty()) {
    if (!key.empty() || !passphrase.empty()) return malformed("a key is brought with its certificate");
    wanted.key = ca::parse_key_algorithm(request.key());
    if (!wanted.key && (wanted.token.empty() || !request.key().empty())) {
      return malformed("a new key is rsa-2048, rsa-3072, rsa-4096, p-256 or p-384");
    }
    if (request.days() != 0) wanted.days = request.days();
    CAPF_LET(wanted.subject, text_from(request.subject(), "a subject"));
    if (!wanted.subject.empty()) CAPF_TRY(ca::check_subject(wanted.subject));
    return wanted;
  }
  if (!request.key().empty() || !request.subject().empty() || request.days() != 0 || !wanted.token.empty() ||
      request.request_only()) {
    return malformed("a certificate that is brought has its key, subject and validity already");
  }
  if (key.empty() && passphrase.empty() && !ca::is_pkcs12(certificates.view())) {
    wanted.certificates.assign(certificates.view().begin(), certificates.view().end());
  } else if (key.empty()) {
    CAPF_LET(wanted.imported, ca::import_pkcs12(certificates.view(), passphrase));
  } else {
    CAPF_LET(wanted.imported, ca::import_pem(certificates.view(), key.view(), passphrase));
  }
  return wanted;
}

Result<std::vector<DeviceName>> devices_from(const google::protobuf::RepeatedPtrField<std::string>& names) {
  if (names.empty() || names.size() > kPhonesInBatch) return malformed("1 to 500 devices in one call");
  std::vector<DeviceName> devices;
  devices.reserve(static_cast<std::size_t>(names.size()));
  for (const std::string& name : names) {
    CAPF_LET(DeviceName device, device_from(name));
    devices.push_back(std::move(device));
  }
  return devices;
}

Result<std::vector<service::NewPhone>> phones_from(const v1::AddPhonesRequest& request) {
  CAPF_LET(const std::vector<DeviceName> devices, devices_from(request.devices()));
  CAPF_LET(const std::string model, text_from(request.model(), "a model"));
  const auto& models = request.models();
  if (!models.empty() && (models.size() != request.devices_size() || !model.empty())) {
    return malformed("one model for all devices, or one for each of them");
  }
  std::vector<service::NewPhone> phones;
  phones.reserve(devices.size());
  for (std::size_t i = 0; i < devices.size(); ++i) {
    if (models.empty()) {
      phones.push_back({devices[i], model});
    } else {
      CAPF_LET(std::string own, text_from(models[static_cast<int>(i)], "a model"));
      phones.push_back({devices[i], std::move(own)});
    }
  }
  return phones;
}

Result<std::string> text_from(const std::string& text, std::string_view what) {
  const bool good = text.size() <= kLargestText &&
                    std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
  if (!good) return malformed(std::string(what) + " has at most 128 octets and no control characters");
  return text;
}

Result<Address> address_from(const std::string& text) {
  constexpr std::string_view kBlock = "/64";
  auto address = Address::parse(text.ends_with(kBlock) ? text.substr(0, text.size() - kBlock.size()) : text);
  if (!address) return malformed("an address is written as 192.0.2.1, 2001:db8::1 or 2001:db8::/64");
  return address;
}

Result<std::string> certificate_name_from(const std::string& text) {
  // a serial number's digits are also those of a device name
  if (!DeviceName::parse(text)) return malformed("a certificate is named by its serial number or its device");
  return text;
}

Result<Role> role_from(const std::string& text) {
  const auto role = parse_role(text);
  if (!role) return malformed("a role is admin, operator, auditor or monitor");
  return *role;
}

Result<RevocationReason> revocation_reason_from(const std::string& text) {
  const auto reason = parse_revocation_reason(text);
  if (!reason) return malformed("the reason of a revocation is spelled as in RFC 5280: keyCompromise");
  return *reason;
}

Result<Sha256> digest_from(const std::string& octets) {
  const auto digest = to_sha256(as_bytes(octets));
  if (!digest) return malformed("a SHA-256 has 32 octets");
  return *digest;
}

Result<KeyDigests> key_from(const v1::RevokeKeyRequest& request) {
  CAPF_LET(const Sha256 digest, digest_from(request.key_sha256()));
  if (request.public_key().empty()) return KeyDigests(digest);
  const KeyDigests key = ca::key_digests(as_bytes(request.public_key()));
  if (key.sha256 != digest) return malformed("the SHA-256 is not that of the public key");
  return key;
}

Result<std::pair<std::string_view, std::string_view>> cursor_parts(std::string_view cursor) {
  const std::size_t dot = cursor.find('.');
  if (dot == std::string_view::npos) return fail(Reason::kInvalidPage);
  return std::pair{cursor.substr(0, dot), cursor.substr(dot + 1)};
}

Result<ChangeCursor> cursor_from(const std::string& text) {
  CAPF_LET(const auto parts, cursor_parts(text));
  const auto transaction = number_from<std::uint64_t>(parts.first, true);
  const auto id = number_from<std::int64_t>(parts.second, true);
  if (!transaction || !id) return fail(Reason::kInvalidPage);
  return ChangeCursor{*transaction, *id};
}

namespace {

/// Of a message with `settings` and `unset`. Errors: INVALID_SETTING, INVALID_REQUEST.
template <class Request>
Result<Settings> settings_from(const Request& request, Owner owner) {
  const std::size_t most = phone_settings().size();
  if (request.settings().size() > most || static_cast<std::size_t>(request.unset_size()) > most) {
    return malformed("there are no more than " + std::to_string(most) + " settings");
  }
  const std::vector<std::pair<std::string, std::string>> values(request.settings().begin(), request.settings().end());
  return parse_settings(values, owner);
}

/// Of a message that changes a profile, or a copy of one.
template <class Request>
Result<ProfileChange> profile_change_from(const Request& request) {
  ProfileChange change;
  if (request.has_description()) change.description = request.description();
  if (!request.mode().empty()) {
    CAPF_LET(change.mode, mode_from(request.mode()));
  }
  CAPF_LET(change.set, settings_from(request, Owner::kProfile));
  change.unset.assign(request.unset().begin(), request.unset().end());
  return change;
}

}  // namespace

Result<service::NewProfile> profile_from(const v1::AddProfileRequest& request) {
  service::NewProfile wanted{.name = request.name(), .copy_of = request.copy_of(), .change = {}};
  CAPF_LET(wanted.change, profile_change_from(request));
  return wanted;
}

Result<ProfileChange> change_from(const v1::SetProfileRequest& request) {
  CAPF_LET(ProfileChange change, profile_change_from(request));
  if (request.expected_revision() != 0) change.revision = request.expected_revision();
  return change;
}

Result<service::OwnChange> change_from(const v1::ChangePhoneSettingsRequest& request) {
  service::OwnChange change;
  CAPF_LET(change.set, settings_from(request, Owner::kPhone));
  change.unset.assign(request.unset().begin(), request.unset().end());
  return change;
}

Result<DeviceMode> mode_from(const std::string& text) {
  const auto mode = parse_device_mode(text);
  if (!mode) return malformed("a phone's mode is nonsecure, authenticated or encrypted");
  return *mode;
}

Result<SiteMode> site_mode_from(const std::string& text) {
  const auto mode = parse_site_mode(text);
  if (!mode) return malformed("a site's security mode is nonsecure or mixed");
  return *mode;
}

Result<PhoneChange> change_from(const v1::ChangePhonesRequest& request) {
  PhoneChange change;
  if (request.has_description()) change.description = request.description();
  change.added_tags.assign(request.added_tags().begin(), request.added_tags().end());
  change.removed_tags.assign(request.removed_tags().begin(), request.removed_tags().end());
  change.sets_tags = request.sets_tags();
  CAPF_TRY(change.check());
  return change;
}

Result<service::PhoneImport> import_from(const google::protobuf::RepeatedPtrField<v1::ImportedPhone>& phones,
                                         bool update) {
  if (phones.empty() || phones.size() > kPhonesInBatch) {
    return malformed("1 to " + std::to_string(kPhonesInBatch) + " phones are imported at once");
  }
  service::PhoneImport batch{.phones = {}, .update = update};
  for (const v1::ImportedPhone& each : phones) {
    CAPF_LET(DeviceName device, device_from(each.device()));
    ImportedPhone& phone = batch.phones.emplace_back(ImportedPhone{.device = std::move(device)});
    phone.model = each.model();
    if (each.has_description()) phone.description = each.description();
    if (each.has_tags()) phone.tags.emplace(each.tags().tags().begin(), each.tags().tags().end());
  }
  return batch;
}

Result<OperationFilter> filter_from(const v1::ListOperationsRequest& request) {
  OperationFilter filter;
  if (request.state() != v1::OPERATION_STATE_UNSPECIFIED) {
    CAPF_LET(filter.state, from_proto(request.state()));
  }
  filter.open = request.open();
  filter.overdue = request.overdue();
  CAPF_LET(filter.kind, kind_filter(request.kind()));
  CAPF_LET(filter.device, optional_device(request.device()));
  return filter;
}

Result<OperationFilter> filter_from(const v1::ListPendingRequest& request, TimePoint now) {
  OperationFilter filter;
  filter.open = true;
  filter.overdue = request.overdue();
  CAPF_LET(filter.kind, kind_filter(request.kind()));
  if (request.has_older_than()) {
    CAPF_LET(const Duration age, from_proto(request.older_than()));
    filter.created_before = now - age;
  }
  return filter;
}

std::string subject_of(const google::protobuf::Message& request) {
  const google::protobuf::Descriptor& descriptor = *request.GetDescriptor();
  const google::protobuf::Reflection& reflection = *request.GetReflection();
  for (const char* name : {"device", "devices", "serial_or_device", "sha256", "name", "party"}) {
    const google::protobuf::FieldDescriptor* field = descriptor.FindFieldByName(name);
    if (field == nullptr || field->type() != google::protobuf::FieldDescriptor::TYPE_STRING) continue;
    if (!field->is_repeated()) return reflection.GetString(request, field);
    if (reflection.FieldSize(request, field) == 1) return reflection.GetRepeatedString(request, field, 0);
  }
  return {};
}

Result<std::vector<int>> days_from(const v1::GetSummaryRequest& request) {
  const auto& days = request.lsc_days();
  const bool fit = std::all_of(days.begin(), days.end(), [](int each) { return each >= 0 && each <= kMostDays; });
  if (!fit || days.size() > kMostNumbersOfDays) {
    return fail(Reason::kInvalidRequest, "up to 16 numbers of days can be asked for, each from 0 to 36500");
  }
  return std::vector<int>(days.begin(), days.end());
}

Result<CertificateFilter> filter_from(const v1::ListCertificatesRequest& request) {
  CertificateFilter filter;
  CAPF_LET(filter.device, optional_device(request.device()));
  if (!request.state().empty()) {
    filter.state = parse_certificate_state(request.state());
    if (!filter.state) return malformed("a certificate is issued, confirmed, superseded, revoked or expired");
  }
  CAPF_LET(filter.expires_before, optional_time(request.has_expires_before(), request.expires_before()));
  if (request.issuer() < 0) return malformed("an issuer's id is a positive number");
  if (request.issuer() > 0) filter.issuer_id = request.issuer();
  return filter;
}

Result<AuditFilter> filter_from(const v1::ListAuditRequest& request) {
  AuditFilter filter;
  CAPF_LET(filter.subject, optional_text(request.subject(), "a subject"));
  CAPF_LET(filter.actor, optional_text(request.actor(), "an actor"));
  CAPF_LET(filter.action, optional_text(request.action(), "an action"));
  CAPF_LET(filter.since, optional_time(request.has_since(), request.since()));
  CAPF_LET(filter.until, optional_time(request.has_until(), request.until()));
  return filter;
}

Result<service::Confirmed> confirmed_from(const v1::RecoverSiteRequest& request) {
  service::Confirmed confirmed;
  confirmed.administrators.assign(request.administrators().begin(), request.administrators().end());
  for (const std::string& text : request.anchors()) {
    const auto octets = parse_hex(text);
    Sha256 sha256{};
    if (!octets || octets->size() != sha256.size()) return malformed("a trust anchor is named by its SHA-256");
    std::copy(octets->begin(), octets->end(), sha256.begin());
    confirmed.anchors.push_back(sha256);
  }
  confirmed.clock_is_right = request.clock_is_right();
  confirmed.seals_are_made_up = request.seals_are_made_up();
  return confirmed;
}

Result<service::AnchorRequest> anchors_from(const v1::AddAnchorsRequest& request) {
  service::AnchorRequest anchors;
  const auto store = parse_trust_store_name(request.store());
  if (!store) return malformed("a trust store is mic or lsc");
  anchors.store = *store;
  if (request.certificates().empty() || request.certificates_size() > kMostAnchorFiles) {
    return malformed("1 to 1000 files with certificates at once");
  }
  for (const std::string& file : request.certificates()) {
    if (file.empty() || file.size() > kLargestCertificateFile) {
      return fail(Reason::kRequestTooLarge, "a file with certificates has 1 to 1,048,576 octets");
    }
    const BytesView octets = as_bytes(file);
    anchors.files.emplace_back(octets.begin(), octets.end());
  }
  CAPF_LET(anchors.devices, pattern_from(request.devices()));
  CAPF_LET(anchors.models, pattern_from(request.models()));
  anchors.allow_sha1 = request.allow_sha1();
  if (request.min_rsa_bits() != 0) anchors.min_rsa_bits = request.min_rsa_bits();
  if (anchors.min_rsa_bits < kLeastMinRsaBits || anchors.min_rsa_bits > kMostMinRsaBits) {
    return malformed("the smallest RSA key has 1024 to 4096 bits");
  }
  CAPF_LET(anchors.allow_expired_until,
           optional_time(request.has_allow_expired_until(), request.allow_expired_until()));
  CAPF_LET(anchors.ends_at, optional_time(request.has_ends_at(), request.ends_at()));
  return anchors;
}

Result<service::CheckCursor> cursor_from(const v1::VerifyCertificatesRequest& request) {
  service::CheckCursor cursor{{}, request.after()};
  if (request.has_since()) {
    CAPF_LET(cursor.issued_at, from_proto(request.since()));
  }
  CAPF_LET(cursor.until, optional_time(request.has_until(), request.until()));
  return cursor;
}

}  // namespace capf::rpc
