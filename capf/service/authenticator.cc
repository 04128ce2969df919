#include "capf/service/authenticator.h"

#include <limits>
#include <utility>

#include "capf/ca/certificate.h"

namespace capf::service {
namespace {

/// The number by which a device's string is known again: the first eight octets of its keyed hash, which is none of
/// those that are compared, since no operation has the number 0.
std::int64_t known_again(const Bytes& mac) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < 8; ++i) number = number << 8 | mac[i];
  return static_cast<std::int64_t>(number);
}

/// The certificates that the caller has shown, whether or not they prove anything.
std::vector<ca::CertificateWords> shown_by(const Caller& caller) {
  std::vector<ca::CertificateWords> shown;
  if (caller.certificate) {
    shown.push_back(ca::describe_certificate(caller.certificate->leaf));
    if (caller.certificate->second) shown.push_back(ca::describe_certificate(*caller.certificate->second));
  }
  for (const Bytes& der : caller.unproven) shown.push_back(ca::describe_certificate(der));
  return shown;
}

/// The message of a refusal with the certificates that the caller has shown.
std::string with_shown(std::string message, const std::vector<ca::CertificateWords>& shown) {
  for (const ca::CertificateWords& each : shown) {
    message += (&each == &shown.front() ? "; shown: " : "; and: ") + each.text();
  }
  return message;
}

RefusalRecord record_of(const Caller& caller, const rules::Refusal& refusal, TimePoint at, std::string message) {
  RefusalRecord record;
  record.address_block = caller.address.block();
  record.attempt = {at,
                    caller.address.to_string(),
                    std::string(rules::to_string(caller.transport)),
                    refusal.operation ? refusal.operation->kind : OperationKind::kInstall,
                    refusal.error.reason,
                    std::move(message)};
  if (!refusal.phone) return record;
  record.device = refusal.phone->device.text();
  record.phone_id = refusal.phone->id;
  record.unknown_issuer = refusal.unknown_issuer;
  return record;
}

}  // namespace

Result<rules::Judgement> Authenticator::judge(const Caller& caller, Sight& sight, rules::Need need) {
  // One HMAC, whatever comes of it: the time tells no name from another.
  const std::optional<Operation>& open = sight.dossier.open;
  const Bytes mac = strings_.mac(open ? open->id : 0, caller.device,
                                 caller.auth_string ? caller.auth_string->text() : std::string_view{});
  if (caller.auth_string) CAPF_TRY(hear(caller, sight, need, mac));
  return rules::identify(sight.facts(), need);
}

/// Counts the string before what came of its comparison is used: no crash and no other server gives the try back.
Status Authenticator::hear(const Caller& caller, Sight& sight, rules::Need need, BytesView mac) {
  const rules::StringUse use = rules::use_of_string(sight.facts(), need);
  if (use == rules::StringUse::kNone) return {};
  HeardString heard;
  // For every name, so that the time tells none from another.
  heard.phone_id = -(known_again(strings_.mac(0, caller.device, {})) & std::numeric_limits<std::int64_t>::max());
  heard.said = {caller.address.block(), known_again(strings_.mac(0, caller.device, caller.auth_string->text())),
                policy_.wrong_strings_of(caller.address)};
  if (use == rules::StringUse::kCompared) {
    const Operation& asks = *sight.dossier.open;
    heard.phone_id = asks.phone_id;
    heard.operation_id = asks.id;
    heard.right = equal_in_constant_time(mac, asks.string_mac);
  }
  CAPF_LET(sight.caller.string->limit, rounds_.hear(heard));
  sight.caller.string->matches = heard.right;
  return {};
}

void Authenticator::report(const Caller& caller, const rules::Refusal& refusal, TimePoint at) {
  const Error& error = refusal.error;
  if (on_refusal_) on_refusal_(error.reason);
  const std::vector<ca::CertificateWords> shown = shown_by(caller);
  if (const auto left_out = refusals_.admit(std::chrono::steady_clock::now())) {
    log_info("authentication.refused", {{"device", caller.device.text()},
                                        {"address", caller.address.to_string()},
                                        {"transport", rules::to_string(caller.transport)},
                                        {"reason", error.reason},
                                        {"message", error.message},
                                        {"shown", shown.empty() ? "nothing" : shown.front().sha256},
                                        {"left_out", *left_out}});
  }
  for (const ca::CertificateWords& each : shown) {
    const auto left_out = shown_.admit(std::chrono::steady_clock::now());
    if (!left_out) continue;
    log_info("certificate.shown", {{"device", caller.device.text()},
                                   {"subject", each.subject},
                                   {"issuer", each.issuer},
                                   {"serial", each.serial},
                                   {"dates", each.dates},
                                   {"sha256", each.sha256},
                                   {"left_out", *left_out}});
  }
  attempts_.add(record_of(caller, refusal, at, with_shown(error.message, shown)));
}

}  // namespace capf::service
