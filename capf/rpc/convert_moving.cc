#include "capf/domain/page.h"
#include "capf/rpc/convert.h"
#include "capf/rpc/convert_field.h"

namespace capf::rpc {
namespace {

constexpr int kMostIssuers = 8;
constexpr std::size_t kLargestDer = 16384;

Bytes octets_of(const std::string& field) {
  const BytesView octets = as_bytes(field);
  return {octets.begin(), octets.end()};
}

Result<service::MovedOperation> operation_from(const v1::MovedOperation& operation, Secret auth_string) {
  service::MovedOperation moved;
  CAPF_LET(moved.kind, from_proto(operation.kind()));
  CAPF_LET(moved.said.auth, from_proto(operation.auth()));
  CAPF_LET(moved.said.key, from_proto(operation.key()));
  CAPF_LET(moved.said.completes_by, optional_time(operation.has_completes_by(), operation.completes_by()));
  moved.auth_string = std::move(auth_string);
  return moved;
}

}  // namespace

Result<AuditFilter> filter_from(const v1::ListPhoneHistoryRequest& request) {
  AuditFilter filter;
  CAPF_LET(const DeviceName device, DeviceName::parse(request.device()));
  filter.subject = device.text();
  filter.of_phones = true;
  CAPF_LET(filter.since, optional_time(request.has_since(), request.since()));
  CAPF_LET(filter.until, optional_time(request.has_until(), request.until()));
  return filter;
}

Result<service::Move> take_move(const v1::MovePhonesRequest& request) {
  // Every string leaves the message before one of them is refused.
  std::vector<Result<std::optional<Secret>>> strings;
  for (const v1::MovedPhone& each : request.phones()) {
    strings.push_back(take_auth_string(each.operation().auth_string()));
  }
  if (request.phones().empty() || request.phones_size() > kPhonesInBatch) {
    return malformed("1 to " + std::to_string(kPhonesInBatch) + " phones move in at once");
  }
  if (request.issuers().empty() || request.issuers_size() > kMostIssuers) {
    return malformed("1 to 8 issuers have signed the certificates");
  }
  service::Move move;
  for (const std::string& issuer : request.issuers()) {
    if (issuer.empty() || issuer.size() > kLargestDer) return malformed("an issuer has 1 to 16,384 octets");
    move.issuers.push_back(octets_of(issuer));
  }
  for (int i = 0; i < request.phones_size(); ++i) {
    const v1::MovedPhone& each = request.phones(i);
    CAPF_LET(DeviceName device, DeviceName::parse(each.device()));
    service::MovedPhone phone{.device = std::move(device), .certificate = octets_of(each.certificate())};
    CAPF_LET(std::optional<Secret> digits, std::move(strings[static_cast<std::size_t>(i)]));
    if (each.has_operation()) {
      CAPF_LET(phone.operation, operation_from(each.operation(), digits ? *std::move(digits) : Secret()));
    }
    move.phones.push_back(std::move(phone));
  }
  return move;
}

}  // namespace capf::rpc
