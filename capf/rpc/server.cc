#include "capf/rpc/server.h"

#include "capf/net/coroutine.h"
// Asio must come first: see capf/net/asio.h.
#include <algorithm>
#include <climits>
#include <optional>
#include <string_view>
#include <utility>

#include <absl/synchronization/mutex.h>
#include <botan/system_rng.h>
#include <google/protobuf/descriptor.h>
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
#include "capf/rpc/admin.h"
#include "capf/rpc/admission/acceptor.h"
#include "capf/rpc/guard.h"
#include "capf/rpc/health.h"
#include "capf/rpc/monitor.h"
#include "capf/rpc/phone.h"
#include "capf/rpc/reflection.h"

namespace capf::rpc {
namespace {

/// The time for gRPC's last answers to reach their callers after it has stopped.
constexpr std::chrono::milliseconds kLastAnswers{500};
/// Threads that look up administrators when they connect.
constexpr std::size_t kJudges = 2;
/// Threads beside those of the calls that run and wait: streams, pollers, and the refusals.
constexpr int kFurtherThreads = 96;

/// The differences between the two servers.
struct Profile {
  int largest_request;
  int largest_answer;
  bool for_administrators;
  std::uint32_t known_streams;
  GateLimits gate;  ///< of a stranger
};

GateLimits gate_limits(std::uint32_t streams, std::chrono::seconds unread, std::chrono::seconds idle,
                       std::chrono::seconds age, std::chrono::seconds age_grace) {
  GateLimits limits;
  limits.streams = streams;
  limits.unread = unread;
  limits.idle = idle;
  limits.age = age;
  limits.age_grace = age_grace;
  return limits;
}

// HandOverCertificates carries four certificates of 16 KiB each. A connection without a call keeps its place for 10 s;
// a phone that was busy with its key connects again. A phone makes one call at a time.
const Profile kPhoneProfile{80 * 1024, 256 * 1024, false, 4,
                            gate_limits(1, std::chrono::seconds{5}, std::chrono::seconds{10}, std::chrono::seconds{300},
                                        std::chrono::seconds{30})};
// A selection names 100,000 devices. A client gets no stream to gRPC
// before it is recognised.
const Profile kAdminProfile{16 << 20, 64 << 20, true, 64,
                            gate_limits(64, std::chrono::seconds{10}, std::chrono::seconds{600},
                                        std::chrono::seconds{3600}, std::chrono::seconds{60})};

Result<std::shared_ptr<const net::TlsContext>> tls_context(const ListenSettings& settings, bool for_administrators) {
  net::TlsSettings tls;
  tls.identities.push_back({settings.certificate_pem, settings.key_pem});
  tls.alpn = "h2";
  tls.client = for_administrators ? net::TlsSettings::Client::kRequired : net::TlsSettings::Client::kAsked;
  tls.client_authorities_pem = settings.client_authorities_pem;
  return net::TlsContext::make(tls);
}

/// A connection takes one descriptor, and three once it has called; the other ports need some too.
net::ConnectionLimits within_descriptors(net::ConnectionLimits limits) {
  limits.all = std::min(limits.all, std::max<std::size_t>(net::raise_descriptor_limit().now / 5, 1));
  return limits;
}

/// Threads beside gRPC's that look again at the phones of silent streams.
constexpr std::size_t kCheckers = 32;

/// Threads that write down what has ended streams.
constexpr std::size_t kRecorders = 32;

/// As many calls as the limits let run and wait, and the refusals.
std::size_t most_calls(const CallLimits& limits) {
  int calls = kFurtherThreads;
  for (const Capacity& capacity : {limits.known, limits.unproven, limits.strangers}) {
    calls += capacity.running + capacity.waiting;
  }
  return static_cast<std::size_t>(calls);
}

void set_limits(grpc::ServerBuilder& builder, const Profile& profile, const CallLimits& limits) {
  builder.SetMaxReceiveMessageSize(profile.largest_request);
  builder.SetMaxSendMessageSize(profile.largest_answer);
  // A compressed message is small on the wire but may be large in memory.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 8192);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, static_cast<int>(profile.known_streams));
  // The gate checks whether the client is there, and limits how long its connection lasts.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, INT_MAX);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);  // a pair of sockets has no delay

  grpc::ResourceQuota quota;
  constexpr std::size_t kKinds = 3;  // of callers, whose answers wait beside their calls
  quota.SetMaxThreads(static_cast<int>(most_calls(limits) + kKinds * limits.answers.most));
  builder.SetResourceQuota(quota);
}

Result<AccessTable> read_access() {
  return AccessTable::read(*google::protobuf::DescriptorPool::generated_pool(), kGuardedServices);
}

/// Debian's Abseil otherwise checks for deadlocks at every lock of every mutex, in all of gRPC.
void trust_library_locks() { absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore); }

/// Logs a line of gRPC; its last one, before it ends the process by abort(), at a level that is seen.
void take_grpc_log(gpr_log_func_args* line) {
  if (!std::string_view(line->message).starts_with("assertion failed")) {
    return log_debug("grpc.logged", {{"cause", line->message}});
  }
  log_error("grpc.aborted", {{"cause", line->message}, {"file", line->file}, {"line", line->line}});
  flush_log(std::chrono::milliseconds{200});
}

/// The libraries write a line for every bad input of a stranger, a failed handshake or text that is not UTF-8: a flood
/// of them would fill the disk. At debug level they do not fill the log.
void take_library_logs() {
  gpr_set_log_function(take_grpc_log);
  google::protobuf::SetLogHandler([](google::protobuf::LogLevel, const char*, int, const std::string& message) {
    log_debug("protobuf.logged", {{"cause", message}});
  });
}

class RunningServer final : public Server {
 public:
  RunningServer(const UseCases& use_cases, AccessTable access, const CallLimits& limits,
                const net::ConnectionLimits& connections)
      : use_cases_(use_cases),
        guard_(use_cases_, std::move(access), limits),
        connections_(within_descriptors(connections)) {}
  ~RunningServer() override {
    stop(std::chrono::milliseconds{0});
    // A peer that is given to the judges later would stay with them, and they outlive the connections.
    if (acceptor_) acceptor_->stop();
    judges_.join();
  }

  void serve_phones(const CallLimits& limits) {
    enrol_threads_.emplace(most_calls(limits), 0);
    check_threads_.emplace(kCheckers, limits.enrolments);
    record_threads_.emplace(kRecorders, limits.enrolments);
    enrolments_.emplace(use_cases_.readiness, limits.enrolments);
    const EnrolParts parts{use_cases_.enrolment, *enrolments_,  *enrol_threads_,    *check_threads_,
                           *record_threads_,     lost_records_, Botan::system_rng()};
    services_.push_back(std::make_unique<PhoneService>(guard_, parts));
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
    trust_library_locks();
    doorway_.limits = profile.gate;
    doorway_.known_streams = profile.known_streams;
    if (profile.for_administrators) doorway_.judge = [this](Peer& peer) { return guard_.recognise(peer); };
    doorway_.note_breach = [this](const Endpoint& peer, const Error& breach) { guard_.note_breach(peer, breach); };
    for_administrators_ = profile.for_administrators;
    CAPF_TRY(replace_certificate(settings));
    CAPF_LET(acceptor_,
             Acceptor::listen(settings.addresses, settings.proxies, connections_, doorway_, use_cases_.metrics));
    grpc::ServerBuilder builder;
    set_limits(builder, profile, limits);
    for (const auto& service : services_) builder.RegisterService(service.get());
    std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> watches;
    watches.push_back(guard_.open_calls().watch());
    auto experimental = builder.experimental();
    experimental.SetInterceptorCreators(std::move(watches));
    // TLS ends at the gate; gRPC has one end of a pair of sockets that no other process can reach.
    auto connections = experimental.AddExternalConnectionAcceptor(
        decltype(experimental)::ExternalConnectionType::FROM_FD, grpc::InsecureServerCredentials());
    server_ = builder.BuildAndStart();
    if (!server_) return fail_internal("gRPC does not start");
    acceptor_->open(std::move(connections));
    return {};
  }

  int port() const override { return acceptor_->port(); }
  const std::vector<std::string>& addresses() const override { return acceptor_->addresses(); }

  Status replace_certificate(const ListenSettings& settings) override {
    CAPF_LET(auto tls, tls_context(settings, for_administrators_));
    doorway_.tls.replace(std::move(tls));
    return {};
  }

  void stop(std::chrono::milliseconds patience) override {
    if (!server_) return;
    acceptor_->close();
    if (enrolments_) enrolments_->close();
    server_->Shutdown(std::chrono::system_clock::now() + patience);
    server_->Wait();
    acceptor_->wait(kLastAnswers);
  }

 private:
  const UseCases use_cases_;
  Guard guard_;
  const net::ConnectionLimits connections_;
  bool for_administrators_ = false;
  net::Pool judges_{kJudges};
  Doorway doorway_{.peers = guard_.peers(), .judges = judges_};
  std::optional<Enrolments> enrolments_;
  std::optional<Workers> enrol_threads_;
  std::optional<Workers> check_threads_;
  LogLimit lost_records_{1};  ///< a second
  std::optional<Workers> record_threads_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<Acceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::start_phone(const UseCases& use_cases, const ListenSettings& settings,
                                                    const CallLimits& limits,
                                                    const net::ConnectionLimits& connections) {
  CAPF_LET(AccessTable access, read_access());
  auto server = std::make_unique<RunningServer>(use_cases, std::move(access), limits, connections);
  server->serve_phones(limits);
  CAPF_TRY(server->listen(settings, kPhoneProfile, limits));
  return server;
}

Result<std::unique_ptr<Server>> Server::start_admin(const UseCases& use_cases, const ListenSettings& settings,
                                                    const CallLimits& limits,
                                                    const net::ConnectionLimits& connections) {
  CAPF_LET(AccessTable access, read_access());
  auto server = std::make_unique<RunningServer>(use_cases, std::move(access), limits, connections);
  server->serve_administrators();
  CAPF_TRY(server->listen(settings, kAdminProfile, limits));
  return server;
}

}  // namespace capf::rpc
