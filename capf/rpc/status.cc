#include "capf/rpc/status.h"

#include <botan/base64.h>

#include "capf/base/utf8.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace capf::rpc {
namespace {

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

bool is_control(char32_t c) { return c < 0x20 || c == 0x7F; }

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
    const std::size_t before = out.size();
    const char32_t c = take_code_point(text);
    append_utf8(out, is_control(c) ? kReplacementCharacter : c);
    if (out.size() > limit) {
      out.resize(before);
      break;
    }
  }
  return out;
}

}  // namespace capf::rpc
