#include "capf/rpc/status.h"

#include <botan/base64.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace capf::rpc {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
// Trailers are at most 8 KiB for most clients; the words are in them twice, once percent-encoded.
constexpr std::size_t kLongestMessage = 1000;
constexpr int kRetryAfterSeconds = 1;

grpc::StatusCode code_for(const Error& error) {
  switch (error.code()) {
    case Code::kInvalidArgument: return grpc::StatusCode::INVALID_ARGUMENT;
    case Code::kUnauthenticated: return grpc::StatusCode::UNAUTHENTICATED;
    case Code::kPermissionDenied: return grpc::StatusCode::PERMISSION_DENIED;
    case Code::kNotFound: return grpc::StatusCode::NOT_FOUND;
    case Code::kAlreadyExists: return grpc::StatusCode::ALREADY_EXISTS;
    case Code::kFailedPrecondition: return grpc::StatusCode::FAILED_PRECONDITION;
    case Code::kConflict: return grpc::StatusCode::ABORTED;
    case Code::kUnavailable:
      return error.reason == Reason::kOverloaded ? grpc::StatusCode::RESOURCE_EXHAUSTED : grpc::StatusCode::UNAVAILABLE;
    case Code::kOutcomeUnknown: return grpc::StatusCode::UNAVAILABLE;
    case Code::kInternal: return grpc::StatusCode::INTERNAL;
  }
  CAPF_INVARIANT(false);
}

/// How many octets the UTF-8 character at the start of `text` has; 0 where there is none (RFC 3629 4).
std::size_t character(std::string_view text) {
  const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto tail = [&](std::size_t i) { return i < text.size() && (octet(i) & 0xC0U) == 0x80U; };
  const unsigned first = octet(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return tail(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!tail(1) || !tail(2)) return 0;
    if (first == 0xE0 && octet(1) < 0xA0) return 0;  // longer than it needs
    if (first == 0xED && octet(1) > 0x9F) return 0;  // a surrogate
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    if (first == 0xF0 && octet(1) < 0x90) return 0;
    if (first == 0xF4 && octet(1) > 0x8F) return 0;  // above U+10FFFF
    return 4;
  }
  return 0;
}

bool is_control(unsigned char octet) { return octet < 0x20 || octet == 0x7F; }

}  // namespace

grpc::Status to_grpc(const Error& error) {
  const grpc::StatusCode code = code_for(error);
  const std::string message = to_utf8(error.message, kLongestMessage);

  google::rpc::Status details;
  details.set_code(static_cast<int>(code));
  details.set_message(message);
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(to_string(error.reason)));
  info.set_domain("capf");
  details.add_details()->PackFrom(info);
  if (may_be_repeated(error.code())) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(kRetryAfterSeconds);
    details.add_details()->PackFrom(retry);
  }
  return {code, message, details.SerializeAsString()};
}

Gate::Fields trailers_of(const grpc::Status& status) {
  std::string words;
  for (const char c : status.error_message()) {
    if (c >= ' ' && c <= '~' && c != '%') {
      words += c;
    } else {
      const auto octet = static_cast<std::uint8_t>(c);
      words += '%' + to_hex({&octet, 1});
    }
  }
  const std::string octets = status.error_details();
  std::string details = Botan::base64_encode(as_bytes(octets).data(), octets.size());
  while (details.ends_with('=')) details.pop_back();  // "emit un-padded values"
  return {{"grpc-status", std::to_string(static_cast<int>(status.error_code()))},
          {"grpc-message", words},
          {"grpc-status-details-bin", details}};
}

std::string to_utf8(std::string_view text, std::size_t limit) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = character(text);
    const bool good = length > 1 || (length == 1 && !is_control(static_cast<unsigned char>(text[0])));
    const std::string_view next = good ? text.substr(0, length) : kReplacement;
    if (out.size() + next.size() > limit) break;
    out += next;
    text.remove_prefix(length > 0 ? length : 1);
  }
  return out;
}

}  // namespace capf::rpc
