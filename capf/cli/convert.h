#pragma once

#include <string>

#include "capf/base/time.h"
#include "capf/cli/json.h"
#include "capf/v1/admin.pb.h"
#include "capf/v1/monitor.pb.h"

namespace capf::cli {

/// The names in the .proto files without their prefix, in lower case: "in_progress"; key orders with '-': "ec-rsa".
std::string spell(v1::OperationKind kind);
std::string spell(v1::OperationState state);
std::string spell(v1::AuthMode auth);
std::string spell(v1::KeyOrder order);
/// The reverse; the unspecified value for any other text.
v1::OperationKind kind_of(const std::string& text);
v1::OperationState state_of(const std::string& text);
v1::AuthMode auth_of(const std::string& text);
v1::KeyOrder key_order_of(const std::string& text);

void set_time(google::protobuf::Timestamp& field, TimePoint time);

Json to_json(const v1::Phone& phone);
Json to_json(const v1::GetPhoneResponse& phone);
/// The same with "mic (profile)" for a setting.
Json with_settings_in_words(const v1::GetPhoneResponse& phone);
Json to_json(const v1::Profile& profile);
Json to_json(const v1::DigestUser& user);
Json to_json(const v1::GetDigestUserResponse& response);
Json to_json(const v1::TracePhoneResponse& trace);
Json to_json(const v1::Operation& operation);
Json with_settings_in_words(const v1::Operation& operation);
/// With its string.
Json to_json(const v1::ScheduledOperation& scheduled);
Json to_json(const v1::BulkPhone& phone);
Json to_json(const v1::Certificate& certificate);
Json to_json(const v1::BlockedCertificate& certificate);
Json to_json(const v1::LimitedAddress& address);
Json to_json(const v1::Line& line);
Json to_json(const v1::GetLineResponse& line);
Json to_json(const v1::CertificateFinding& finding);
Json to_json(const v1::Issuer& issuer);
Json to_json(const v1::WireCertificate& certificate);
Json to_json(const v1::GetIssuerResponse& issuer);
Json to_json(const v1::Anchor& anchor);
Json to_json(const v1::TrustCandidate& candidate);
Json to_json(const v1::TrustedParty& party);
Json to_json(const v1::Configuration& configuration);
Json to_json(const v1::TrustedCertificate& certificate);
Json to_json(const v1::ListGeneration& list);
Json to_json(const v1::RecoverSiteResponse& recovered);
Json to_json(const v1::Administrator& administrator);
Json to_json(const v1::AuditEvent& event);
Json to_json(const v1::RefusalCount& refusal);
Json to_json(const v1::Campaign& campaign);
Json to_json(const v1::CampaignRelease& release);
Json to_json(const v1::OperationChange& change);
Json to_json(const v1::SecurityChange& change);
Json to_json(const v1::GetSummaryResponse& summary);

}  // namespace capf::cli
