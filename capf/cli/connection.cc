#include "capf/cli/connection.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>
#include <thread>

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>

#include "capf/client/channel.h"
#include "capf/client/key.h"
#include "capf/v1/admin.grpc.pb.h"
#include "capf/v1/monitor.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace capf::cli {
namespace {

constexpr std::chrono::minutes kDeadline{5};  // 100,000 phones in one transaction
constexpr std::chrono::seconds kHealthDeadline{4};
constexpr std::chrono::seconds kConnectDeadline{3};  // where there is another address to try
constexpr std::chrono::hours kStreamDeadline{1};
constexpr std::chrono::seconds kBetweenTries{1};
constexpr int kMostTries = 10;  // longer than an orderly stop takes
constexpr std::size_t kLargestFile = 65536;
const char* const kRecoveryWordField = "capf-recovery-word";

/// Whether a connection can be made.
bool answers(grpc::Channel& channel, std::chrono::system_clock::time_point deadline) {
  grpc_connectivity_state state = channel.GetState(true);
  while (state == GRPC_CHANNEL_IDLE || state == GRPC_CHANNEL_CONNECTING) {
    if (!channel.WaitForStateChange(state, deadline)) return false;
    state = channel.GetState(true);
  }
  return state == GRPC_CHANNEL_READY;
}

/// Calls `each` for everything that a stream brings, until it fails. @param refusal makes the error of a server's
/// status
template <class Row, class Each, class Refusal>
capf::Status read_all(grpc::ClientContext& context, grpc::ClientReader<Row>& stream, const Each& each,
                      const Refusal& refusal) {
  Row row;
  while (stream.Read(&row)) {
    const capf::Status taken = each(row);
    if (taken) continue;
    context.TryCancel();
    stream.Finish();
    return taken;
  }
  const grpc::Status status = stream.Finish();
  if (!status.ok()) return fail(refusal(status));
  return {};
}

}  // namespace

struct Connection::Stubs {
  explicit Stubs(const std::shared_ptr<grpc::Channel>& channel)
      : admin(v1::AdminService::NewStub(channel)), monitor(v1::MonitorService::NewStub(channel)) {}
  std::unique_ptr<v1::AdminService::Stub> admin;
  std::unique_ptr<v1::MonitorService::Stub> monitor;
};

client::AdministratorFiles own_files(const Place& place) {
  const auto folder = std::filesystem::path(place.state) / "admin";
  const auto given = [&](const std::string& path, const char* ending) {
    return path.empty() ? folder / (place.administrator + ending) : std::filesystem::path(path);
  };
  return {given(place.certificate, ".pem"), given(place.key, ".key")};
}

Result<client::Endpoint> find_endpoint(const Place& place) {
  const std::filesystem::path state = place.state;
  client::Endpoint endpoint;
  if (place.server.empty()) {
    CAPF_LET(const client::Listeners listeners, client::read_listeners(state));
    endpoint.addresses = listeners.admin;
    if (endpoint.addresses.empty()) {
      return fail(Reason::kServerNotReached, "the server of this site has no port for administrators");
    }
  } else {
    CAPF_LET(endpoint.addresses, client::parse_addresses(place.server));
  }
  CAPF_LET(endpoint.trust_pem,
           place.trust.empty() ? client::read_site_ca(state) : client::read_trusted(place.trust, kLargestFile));
  const auto [certificate, key] = own_files(place);
  CAPF_LET(endpoint.certificate_pem, client::read_file(certificate, kLargestFile));
  CAPF_LET(endpoint.key_pem, read_secret_file(key));
  const auto pair = client::check_pair(endpoint.certificate_pem, endpoint.key_pem.text());
  if (!pair) {
    return fail(pair.error().reason, certificate.string() + ", " + key.string() + ": " + pair.error().message);
  }
  return endpoint;
}

Connection::Connection(Place place) : place_(std::move(place)) {}
Connection::~Connection() = default;

capf::Status Connection::connect() {
  if (stubs_ != nullptr) return {};
  CAPF_LET(const client::Endpoint endpoint, find_endpoint(place_));
  std::shared_ptr<grpc::Channel> channel;
  for (const std::string& address : endpoint.addresses) {
    channel = client::make_channel(endpoint, address);
    if (&address == &endpoint.addresses.back()) break;  // the call itself reports its fault
    if (answers(*channel, until(kConnectDeadline))) break;
  }
  stubs_ = std::make_unique<Stubs>(channel);
  // Never sent to a server that was named: the words belong to this machine's servers.
  if (place_.server.empty()) words_ = client::read_recovery_words(place_.state);
  return {};
}

/// The server's error, by which report() tells a request that is malformed from a file that is.
Error Connection::refusal(const grpc::Status& status) {
  refusal_ = client::to_error(status);
  return *refusal_;
}

bool Connection::has_refused(const Error& error) const {
  return refusal_ && refusal_->reason == error.reason && refusal_->message == error.message;
}

/// For changes while a database is behind.
void Connection::add_words(grpc::ClientContext& context) const {
  for (const Secret& word : words_) context.AddMetadata(kRecoveryWordField, std::string(word.text()));
}

#define CAPF_CLI_DEFINE(service, method)                                               \
  Result<v1::method##Response> Connection::call(const v1::method##Request& request) {  \
    CAPF_TRY(connect());                                                               \
    grpc::ClientContext context;                                                       \
    context.set_deadline(until(kDeadline));                                            \
    add_words(context);                                                                \
    v1::method##Response response;                                                     \
    const grpc::Status status = stubs_->service->method(&context, request, &response); \
    if (!status.ok()) return fail(refusal(status));                                    \
    return response;                                                                   \
  }
CAPF_CLI_CALLS(CAPF_CLI_DEFINE)
#undef CAPF_CLI_DEFINE

template <class Change, class Open>
capf::Status Connection::watch(std::string cursor, const std::function<bool(const Change&)>& each, Open open) {
  CAPF_TRY(connect());
  int tries = 0;  // since the last change received
  while (true) {
    grpc::ClientContext context;
    context.set_deadline(until(kStreamDeadline));
    const auto stream = open(context, cursor);
    Change change;
    while (stream->Read(&change)) {
      cursor = change.cursor();
      tries = 0;
      if (each(change)) continue;
      context.TryCancel();
      stream->Finish();
      return {};
    }
    const grpc::Status status = stream->Finish();
    if (status.ok()) return {};
    if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) continue;
    // With a cursor, a restarted server, or another one, continues where this one ended. CANCELLED: this program did
    // not read for a while, because its output was not read either.
    const bool goes_on =
        status.error_code() == grpc::StatusCode::UNAVAILABLE || status.error_code() == grpc::StatusCode::CANCELLED;
    if (!goes_on || cursor.empty() || ++tries > kMostTries) {
      return fail(refusal(status));
    }
    std::this_thread::sleep_for(kBetweenTries);
    stubs_.reset();
    CAPF_TRY(connect());
  }
}

capf::Status Connection::export_digest_users(const std::function<capf::Status(v1::DigestExportRow&)>& each) {
  CAPF_TRY(connect());
  grpc::ClientContext context;
  context.set_deadline(until(kStreamDeadline));
  add_words(context);
  const auto stream = stubs_->admin->ExportDigestUsers(&context, {});
  return read_all(context, *stream, each, [this](const grpc::Status& status) { return refusal(status); });
}

capf::Status Connection::export_files(const v1::ExportFilesRequest& request,
                                      const std::function<capf::Status(const v1::ExportedFile&)>& each) {
  CAPF_TRY(connect());
  grpc::ClientContext context;
  context.set_deadline(until(kStreamDeadline));
  add_words(context);
  const auto stream = stubs_->admin->ExportFiles(&context, request);
  return read_all(context, *stream, each, [this](const grpc::Status& status) { return refusal(status); });
}

capf::Status Connection::watch(std::string cursor, const std::function<bool(const v1::OperationChange&)>& each) {
  return watch(std::move(cursor), each, [this](grpc::ClientContext& context, const std::string& after) {
    v1::WatchOperationsRequest request;
    request.set_cursor(after);
    return stubs_->monitor->WatchOperations(&context, request);
  });
}

capf::Status Connection::watch(std::string cursor, const std::function<bool(const v1::SecurityChange&)>& each) {
  return watch(std::move(cursor), each, [this](grpc::ClientContext& context, const std::string& after) {
    v1::WatchSecurityRequest request;
    request.set_cursor(after);
    return stubs_->monitor->WatchSecurity(&context, request);
  });
}

capf::Status Connection::watch(const std::string& campaign, std::string cursor,
                               const std::function<bool(const v1::CampaignRelease&)>& each) {
  if (cursor.empty()) cursor = "0";  // the same, and a server that restarts before the first release is waited for
  return watch(std::move(cursor), each, [&](grpc::ClientContext& context, const std::string& after) {
    v1::WatchCampaignRequest request;
    request.set_name(campaign);
    request.set_cursor(after);
    return stubs_->admin->WatchCampaign(&context, request);
  });
}

namespace {

/// Asks the server of one address whether it serves, why not, and which servers of the site it misses.
Health ask_health(const client::Endpoint& endpoint, const std::string& address,
                  std::chrono::system_clock::time_point deadline) {
  const auto channel = client::make_channel(endpoint, address);
  const auto health = grpc::health::v1::Health::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(deadline);
  grpc::health::v1::HealthCheckResponse response;
  const grpc::Status status = health->Check(&context, {}, &response);
  if (!status.ok()) return {address, fail(client::to_error(status)), {}};
  Health answer{address, grpc::health::v1::HealthCheckResponse::ServingStatus_Name(response.status()), {}};
  // Where this fails, as with a server of an earlier version, the word alone is known.
  const auto monitor = v1::MonitorService::NewStub(channel);
  grpc::ClientContext second;
  second.set_deadline(deadline);
  v1::GetReadinessResponse readiness;
  if (!monitor->GetReadiness(&second, {}, &readiness).ok()) return answer;
  if (!readiness.ready()) answer.why = readiness.reason() + ": " + readiness.message();
  for (const v1::SilentServer& silent : readiness.silent_servers()) {
    const TimePoint seen_at(std::chrono::seconds(silent.seen_at().seconds()));
    answer.silent.push_back(silent.name() + " since " + to_rfc3339(seen_at));
  }
  answer.warnings.assign(readiness.warnings().begin(), readiness.warnings().end());
  return answer;
}

}  // namespace

Result<std::vector<Health>> Connection::health() {
  CAPF_LET(const client::Endpoint endpoint, find_endpoint(place_));
  const auto deadline = until(kHealthDeadline);
  std::vector<std::future<Health>> asked;
  for (const std::string& address : endpoint.addresses) {
    asked.push_back(std::async(std::launch::async, ask_health, std::cref(endpoint), address, deadline));
  }
  std::vector<Health> answers;
  for (auto& each : asked) answers.push_back(each.get());
  return answers;
}

std::chrono::system_clock::time_point Connection::until(std::chrono::milliseconds length) const {
  const auto end = std::chrono::system_clock::now() + length;
  return give_up_at_ ? std::min(end, *give_up_at_) : end;
}

}  // namespace capf::cli
