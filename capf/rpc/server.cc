#include "capf/rpc/server.h"

#include <algorithm>
#include <utility>

#include <botan/mem_ops.h>
#include <google/protobuf/stubs/logging.h>
#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include "capf/base/endpoint.h"
#include "capf/base/log.h"
#include "capf/net/descriptors.h"
#include "capf/rpc/acceptor.h"
#include "capf/rpc/admin.h"
#include "capf/rpc/guard.h"
#include "capf/rpc/health.h"
#include "capf/rpc/monitor.h"
#include "capf/rpc/phone.h"
#include "capf/rpc/reflection.h"

namespace capf::rpc {
namespace {

constexpr int kTriesToListen = 5;
/// Threads beside those of the calls that run and wait: streams, pollers, and the refusals.
constexpr int kFurtherThreads = 96;

/// What differs between the two servers.
struct Profile {
  int largest_request;
  int largest_answer;
  int streams_per_connection;
  std::chrono::seconds idle;
  /// A connection is that old at most: who holds a thread by not reading an answer loses it then.
  std::chrono::seconds age;
  std::chrono::seconds age_grace;
};
// HandOverCertificates carries four certificates of 16 KiB each. A connection on which nothing is asked holds its place
// for 10 s; a phone that was busy with its key connects again, and it makes one call at a time.
constexpr Profile kPhoneProfile{
    80 * 1024, 256 * 1024, 4, std::chrono::seconds{10}, std::chrono::seconds{300}, std::chrono::seconds{30}};
// ScheduleOperations names 100,000 devices, and its answer has an operation for each.
constexpr Profile kAdminProfile{
    16 << 20, 64 << 20, 64, std::chrono::seconds{600}, std::chrono::seconds{3600}, std::chrono::seconds{60}};

constexpr int milliseconds(std::chrono::seconds seconds) { return static_cast<int>(seconds.count() * 1000); }

/// Asks every client for a certificate and verifies none: what one is worth, the guard and the authenticator say.
std::shared_ptr<grpc::ServerCredentials> credentials(const ListenSettings& settings) {
  grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_BUT_DONT_VERIFY);
  options.pem_key_cert_pairs.push_back(
      {std::string(settings.key_pem.text()), std::string(as_text(settings.certificate_pem))});
  auto made = grpc::SslServerCredentials(options);
  std::string& key = options.pem_key_cert_pairs.front().private_key;
  Botan::secure_scrub_memory(key.data(), key.size());
  return made;
}

/// Each connection takes two descriptors, and the other ports need some too.
net::ConnectionLimits within_descriptors(net::ConnectionLimits limits) {
  limits.all = std::min(limits.all, std::max<std::size_t>(net::raise_descriptor_limit() / 4, 1));
  return limits;
}

void set_limits(grpc::ServerBuilder& builder, const Profile& profile, const CallLimits& limits) {
  builder.SetMaxReceiveMessageSize(profile.largest_request);
  builder.SetMaxSendMessageSize(profile.largest_answer);
  // What is small on the wire must not be large in memory.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 8192);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, profile.streams_per_connection);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, milliseconds(profile.idle));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, milliseconds(profile.age));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, milliseconds(profile.age_grace));

  grpc::ResourceQuota quota;
  int threads = kFurtherThreads;
  for (const Capacity& capacity : {limits.known, limits.unproven, limits.strangers}) {
    threads += capacity.running + capacity.waiting + static_cast<int>(limits.answers.most);
  }
  quota.SetMaxThreads(threads);
  builder.SetResourceQuota(quota);
}

/// The libraries write a line for whatever a stranger sends, a handshake that fails and a text that is none: a flood of
/// them would fill the disk. In the log they stand where somebody looks for them.
void take_library_logs() {
  gpr_set_log_function([](gpr_log_func_args* line) { log_debug("grpc.logged", {{"cause", line->message}}); });
  google::protobuf::SetLogHandler([](google::protobuf::LogLevel, const char*, int, const std::string& message) {
    log_debug("protobuf.logged", {{"cause", message}});
  });
}

class RunningServer final : public Server {
 public:
  RunningServer(const UseCases& use_cases, const CallLimits& limits, const net::ConnectionLimits& connections)
      : use_cases_(use_cases), guard_(use_cases_, limits, within_descriptors(connections)) {}
  ~RunningServer() override { stop(std::chrono::milliseconds{0}); }

  void serve_phones() {
    services_.push_back(std::make_unique<PhoneService>(guard_, use_cases_.enrolment));
    services_.push_back(std::make_unique<ReflectionService>(
        guard_, Audience::kEverybody,
        std::vector<std::string>{"capf.v1.PhoneService", "grpc.reflection.v1alpha.ServerReflection"}));
  }

  void serve_administrators() {
    services_.push_back(std::make_unique<AdminService>(guard_, use_cases_));
    services_.push_back(std::make_unique<MonitorService>(guard_, use_cases_));
    services_.push_back(std::make_unique<HealthService>(guard_, use_cases_.readiness));
    services_.push_back(std::make_unique<ReflectionService>(
        guard_, Audience::kAdministrators,
        std::vector<std::string>{"capf.v1.AdminService", "capf.v1.MonitorService", "grpc.health.v1.Health",
                                 "grpc.reflection.v1alpha.ServerReflection"}));
  }

  Status listen(const ListenSettings& settings, const Profile& profile, const CallLimits& limits) {
    take_library_logs();
    for (int i = 1; !acceptor_; ++i) {
      CAPF_LET(const std::vector<Endpoint> endpoints, plan_endpoints(settings.addresses));
      auto acceptor = Acceptor::listen(endpoints, guard_.connections(), use_cases_.metrics);
      if (!acceptor && i == kTriesToListen) return tl::unexpected<Error>(std::move(acceptor).error());
      if (!acceptor) continue;  // another one has taken the port meanwhile
      acceptor_ = *std::move(acceptor);
      port_ = endpoints.front().port;
      for (const Endpoint& endpoint : endpoints) addresses_.push_back(endpoint.to_string());
    }
    grpc::ServerBuilder builder;
    set_limits(builder, profile, limits);
    for (const auto& service : services_) builder.RegisterService(service.get());
    std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> watches;
    watches.push_back(guard_.open_calls().watch());
    auto experimental = builder.experimental();
    experimental.SetInterceptorCreators(std::move(watches));
    auto connections = experimental.AddExternalConnectionAcceptor(
        decltype(experimental)::ExternalConnectionType::FROM_FD, credentials(settings));
    server_ = builder.BuildAndStart();
    if (!server_) return fail(Reason::kInvalidConfiguration, "certificate and key of the server do not fit");
    acceptor_->open(std::move(connections));
    return {};
  }

  int port() const override { return port_; }
  const std::vector<std::string>& addresses() const override { return addresses_; }

  void stop(std::chrono::milliseconds patience) override {
    if (!server_) return;
    acceptor_->close();
    server_->Shutdown(std::chrono::system_clock::now() + patience);
    server_->Wait();
  }

 private:
  const UseCases use_cases_;
  Guard guard_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<Acceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
  std::vector<std::string> addresses_;
  int port_ = 0;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::start_phone(const UseCases& use_cases, const ListenSettings& settings,
                                                    const CallLimits& limits,
                                                    const net::ConnectionLimits& connections) {
  auto server = std::make_unique<RunningServer>(use_cases, limits, connections);
  server->serve_phones();
  CAPF_TRY(server->listen(settings, kPhoneProfile, limits));
  return server;
}

Result<std::unique_ptr<Server>> Server::start_admin(const UseCases& use_cases, const ListenSettings& settings,
                                                    const CallLimits& limits,
                                                    const net::ConnectionLimits& connections) {
  auto server = std::make_unique<RunningServer>(use_cases, limits, connections);
  server->serve_administrators();
  CAPF_TRY(server->listen(settings, kAdminProfile, limits));
  return server;
}

}  // namespace capf::rpc
