#include "capf/client/channel.h"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <optional>

#include <grpc/support/log.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/status.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace capf::client {
namespace {

// The answer to a schedule of 100,000 devices has some 30 MB.
constexpr int kLargestAnswer = 128 * 1024 * 1024;

void quieten() {
  static std::once_flag once;
  std::call_once(once, [] {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the environment does not change
    if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
  });
}

std::optional<std::string> server_reason(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return std::nullopt;
  for (const auto& detail : details.details()) {
    google::rpc::ErrorInfo info;
    if (detail.UnpackTo(&info) && info.domain() == "capf" && !info.reason().empty()) return info.reason();
  }
  return std::nullopt;
}

Reason reason_of(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::CANCELLED:  // by a server that stops
    case grpc::StatusCode::DEADLINE_EXCEEDED: return Reason::kServerNotReached;
    case grpc::StatusCode::UNAUTHENTICATED: return Reason::kAuthenticationFailed;
    case grpc::StatusCode::PERMISSION_DENIED: return Reason::kRoleDenied;
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::OUT_OF_RANGE: return Reason::kInvalidRequest;
    case grpc::StatusCode::RESOURCE_EXHAUSTED: return Reason::kOverloaded;
    case grpc::StatusCode::ABORTED: return Reason::kChangedMeanwhile;
    default: return Reason::kInternal;
  }
}

}  // namespace

std::shared_ptr<grpc::Channel> make_channel(const Endpoint& endpoint, const std::string& address) {
  quieten();
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = endpoint.trust_pem;
  if (!endpoint.certificate_pem.empty()) {
    options.pem_cert_chain = endpoint.certificate_pem;
    options.pem_private_key = std::string(endpoint.key_pem.text());
  }
  grpc::ChannelArguments arguments;
  arguments.SetLoadBalancingPolicyName("round_robin");
  arguments.SetMaxReceiveMessageSize(kLargestAnswer);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Two channels to one server with different certificates must never share a connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  // A repeated call must find a server that has come back meanwhile.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  return grpc::CreateCustomChannel(address, grpc::SslCredentials(options), arguments);
}

Error to_error(const grpc::Status& status) {
  if (const auto spelling = server_reason(status)) {
    const Reason reason = parse_reason(*spelling);
    if (to_string(reason) == *spelling) return Error{reason, status.error_message(), {}};
    return Error{Reason::kInternal, *spelling + ": " + status.error_message(), {}};
  }
  const Reason reason = reason_of(status.error_code());
  if (status.error_code() == grpc::StatusCode::CANCELLED) {
    return Error{reason, "the server stopped; whether anything was done is not known", {}};
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return Error{reason, "no answer in time; whether anything was done is not known", {}};
  }
  if (status.error_message().empty()) return Error{reason, std::string(words(reason)), {}};
  return Error{reason, status.error_message(), {}};
}

std::chrono::milliseconds retry_delay(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::RetryInfo retry;
  if (!details.ParseFromString(status.error_details())) return {};
  for (const auto& detail : details.details()) {
    if (!detail.UnpackTo(&retry)) continue;
    const std::int64_t seconds = std::clamp<std::int64_t>(retry.retry_delay().seconds(), 0, 3600);
    return std::chrono::seconds(seconds) + std::chrono::milliseconds(retry.retry_delay().nanos() / 1'000'000);
  }
  return {};
}

}  // namespace capf::client
