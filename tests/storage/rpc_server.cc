// The two gRPC servers as clients see them: over TLS, on free ports, with the use cases over a real database.
#include <algorithm>
#include <array>
#include <map>
#include <string>

#include <botan/pkcs8.h>
#include <catch2/catch.hpp>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "capf/base/descriptor.h"
#include "capf/domain/administrator_store.h"
#include "capf/rpc/server.h"
#include "capf/service/administrators.h"
#include "capf/service/checker.h"
#include "capf/service/monitor.h"
#include "capf/service/records.h"
#include "capf/service/recovery.h"
#include "capf/v1/admin.grpc.pb.h"
#include "capf/v1/monitor.grpc.pb.h"
#include "capf/v1/phone.grpc.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "tests/support/folder.h"
#include "tests/support/marks.h"
#include "tests/support/site.h"

using namespace capf;
using namespace capf::test;

namespace {

/// A key with a certificate: of its own making, or under the site CA; an administrator's once it is on record.
struct Identity {
  Identity(const std::string& name, const ca::SiteAuthority& authority) {
    const PhoneKey key;
    der = must(ca::make_administrator_certificate(authority, key.botan().subject_public_key(), name,
                                                  SystemClock().now(), std::chrono::hours{24}, Botan::system_rng()));
    certificate_pem = ca::to_pem(der);
    key_pem = Botan::PKCS8::PEM_encode(key.botan());
  }
  explicit Identity(const std::string& name) {
    const PhoneKey key;
    Botan::X509_Cert_Options options(name + "/XX/Tests");
    const auto now = std::chrono::system_clock::now();
    options.start = Botan::X509_Time(now - std::chrono::hours{1});
    options.end = Botan::X509_Time(now + std::chrono::hours{24});
    const auto certificate = Botan::X509::create_self_signed_cert(options, key.botan(), "SHA-256", Botan::system_rng());
    der = certificate.BER_encode();
    certificate_pem = certificate.PEM_encode();
    key_pem = Botan::PKCS8::PEM_encode(key.botan());
  }
  Bytes der;
  std::string certificate_pem;
  std::string key_pem;
};

/// A site with both servers.
struct Servers {
  Servers() {
    for (const Role role : kRoles) enlist(role);
  }

  /// @param window octets that the server may send in a call before the client reads; 0: gRPC's own
  std::shared_ptr<grpc::Channel> channel(const rpc::Server& server, const Identity* client, int window = 0) const {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = ca::to_pem(site_certificate);
    if (client != nullptr) {
      options.pem_cert_chain = client->certificate_pem;
      options.pem_private_key = client->key_pem;
    }
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride("localhost");
    arguments.SetInt("grpc.use_local_subchannel_pool", 1);
    if (window > 0) {
      arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, window);
      arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    }
    return grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(server.port()), grpc::SslCredentials(options),
                                     arguments);
  }
  auto phones(const Identity* client = nullptr) const { return v1::PhoneService::NewStub(channel(*phone, client)); }
  auto administration(const Identity* client) const { return v1::AdminService::NewStub(channel(*admin, client)); }
  auto monitoring(const Identity* client) const { return v1::MonitorService::NewStub(channel(*admin, client)); }
  auto health(const Identity* client) const { return grpc::health::v1::Health::NewStub(channel(*admin, client)); }

  /// Under the site CA; on record nowhere.
  Identity identity(const std::string& name) const { return {name, {*site_key, site_certificate}}; }
  const Identity& of(Role role) const { return administrators_by_role.at(role); }

  Site site;
  SystemClock clock;
  Metrics metrics;
  std::unique_ptr<ca::SigningKey> site_key = must(ca::generate_key(ca::KeyAlgorithm::kP256));
  Bytes site_certificate = must(ca::make_site_ca(*site_key, {"CN=Site CA", clock.now()}, Botan::system_rng()));
  service::Administrators administrators{site.database(), *site_key,      site_certificate,   clock,
                                         site.high_water, site.blacklist, Botan::system_rng()};
  service::Records records{site.database()};
  service::Checker checker{site.database(), "test"};
  service::OwnCertificates own;
  service::RecordState record;
  service::CrlState crls;
  service::Monitor monitor{site.database(), clock, site.issuer_keys(), site.high_water, record, crls, own, {}};
  rpc::Readiness readiness{monitor};
  Folder folder;
  std::unique_ptr<service::PublishedCrls> published = must(service::PublishedCrls::open(folder.path() / "crls"));
  MarksInMemory marks;
  std::unique_ptr<ca::SigningKey> audit_key = must(ca::generate_key(ca::KeyAlgorithm::kP256));
  service::SiteClock site_clock{clock, TimePoint()};
  service::Sealer sealer{site.database(), *audit_key, marks,  site.high_water,
                         record,          site_clock, "test", Botan::system_rng()};
  LinesInMemory lines;
  service::Journal journal{site.database(), lines, site.high_water};
  Secret recovery_word{std::string_view("word of the machine")};
  std::vector<rpc::WireCertificate> wire_certificates;
  service::Recovery recovery{site.database(), *published, marks, site.high_water, site_clock, sealer, journal};
  rpc::UseCases use_cases{site.enrolment,
                          site.phones,
                          site.addresses,
                          site.operations,
                          site.certificates,
                          checker,
                          site.trust,
                          site.issuers,
                          administrators,
                          site.authenticator.attempts(),
                          records,
                          recovery,
                          monitor,
                          readiness,
                          metrics,
                          clock,
                          [this] { return wire_certificates; },
                          recovery_word};
  rpc::ListenSettings listen(const char* address) const {
    const auto key = must(ca::generate_key(ca::KeyAlgorithm::kP256));
    const std::string pem =
        ca::to_pem(must(ca::make_server_certificate({*site_key, site_certificate}, key->public_key(), {"localhost"},
                                                    clock.now(), std::chrono::hours{24}, Botan::system_rng())));
    const std::string authority = ca::to_pem(site_certificate);
    return {
        {address}, Bytes(pem.begin(), pem.end()), must(key->private_pem()), Bytes(authority.begin(), authority.end())};
  }
  std::unique_ptr<rpc::Server> phone = must(rpc::Server::start_phone(use_cases, listen("127.0.0.1:0")));
  std::unique_ptr<rpc::Server> admin = must(rpc::Server::start_admin(use_cases, listen("127.0.0.1:0")));

 private:
  void enlist(Role role) {
    const Identity& made = administrators_by_role.emplace(role, identity("administrator")).first->second;
    const Administrator administrator{std::string(to_string(role)),
                                      role,
                                      sha256(made.der),
                                      clock.now() + std::chrono::hours{24},
                                      clock.now(),
                                      "tester",
                                      {}};
    must(site.database().write([&](Transaction& tx) -> Status {
      CAPF_TRY(tx.administrators().add(administrator));
      return {};
    }));
  }
  std::map<Role, Identity> administrators_by_role;
};

std::string reason_of(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  if (!details.ParseFromString(status.error_details()) || details.details().empty()) return "";
  details.details(0).UnpackTo(&info);
  return info.reason();
}

grpc::Status list_phones(v1::AdminService::StubInterface& stub) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{20});
  v1::ListPhonesResponse response;
  return stub.ListPhones(&context, {}, &response);
}

}  // namespace

TEST_CASE("the administrators' port takes listed certificates and no others") {
  const Servers servers;
  CHECK(list_phones(*servers.administration(&servers.of(Role::kAdmin))).ok());

  const Identity unlisted = servers.identity("admin");
  const auto refused = list_phones(*servers.administration(&unlisted));
  CHECK(refused.error_code() == grpc::UNAUTHENTICATED);
  CHECK(reason_of(refused) == "ADMINISTRATOR_UNKNOWN");

  // Others do not come as far as a call.
  const Identity stranger("admin");
  CHECK(list_phones(*servers.administration(&stranger)).error_code() == grpc::UNAVAILABLE);
  CHECK(list_phones(*servers.administration(nullptr)).error_code() == grpc::UNAVAILABLE);

  const auto denied = list_phones(*servers.administration(&servers.of(Role::kMonitor)));
  CHECK(denied.error_code() == grpc::PERMISSION_DENIED);
  CHECK(reason_of(denied) == "ROLE_DENIED");
}

TEST_CASE("an administrator who is disabled is refused in the next call, on the same connection") {
  Servers servers;
  const auto stub = servers.administration(&servers.of(Role::kOperator));
  REQUIRE(list_phones(*stub).ok());
  must(servers.administrators.disable(servers.site.administrator, "operator"));
  CHECK(reason_of(list_phones(*stub)) == "ADMINISTRATOR_DISABLED");
}

TEST_CASE("a port shows another certificate to whoever connects from then on, and who is connected stays so") {
  Servers servers;
  const Identity& admin = servers.of(Role::kAdmin);
  const auto before = servers.administration(&admin);
  REQUIRE(list_phones(*before).ok());
  // Under another site CA: a client that trusts the first one alone tells which certificate it is shown.
  const auto key = must(ca::generate_key(ca::KeyAlgorithm::kP256));
  const Bytes other_ca = must(ca::make_site_ca(*key, {"CN=Other", servers.clock.now()}, Botan::system_rng()));
  const std::string pem =
      ca::to_pem(must(ca::make_server_certificate({*key, other_ca}, key->public_key(), {"localhost"},
                                                  servers.clock.now(), std::chrono::hours{24}, Botan::system_rng())));
  auto settings = servers.listen("127.0.0.1:0");
  settings.certificate_pem = Bytes(pem.begin(), pem.end());
  settings.key_pem = must(key->private_pem());
  const int port = servers.admin->port();
  must(servers.admin->replace_certificate(settings));
  CHECK(servers.admin->port() == port);
  CHECK(list_phones(*before).ok());
  CHECK(list_phones(*servers.administration(&admin)).error_code() == grpc::UNAVAILABLE);
  must(servers.admin->replace_certificate(servers.listen("127.0.0.1:0")));
  CHECK(list_phones(*servers.administration(&admin)).ok());

  settings.key_pem = must(servers.site_key->private_pem());
  const Status refused = servers.admin->replace_certificate(settings);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().reason == Reason::kInvalidConfiguration);
  CHECK(list_phones(*servers.administration(&admin)).ok());
}

TEST_CASE("whoever may see the issuers sees the certificates of the wire, those that are shown first") {
  Servers servers;
  const auto made = [&](const std::string& name, bool shown) {
    const auto key = must(ca::generate_key(ca::KeyAlgorithm::kP256));
    servers.wire_certificates.push_back(
        {name, shown, must(ca::make_wire_certificate(*key, {"", servers.clock.now()}, Botan::system_rng()))});
  };
  const auto stub = servers.administration(&servers.of(Role::kAuditor));
  const auto ask = [&] {
    grpc::ClientContext context;
    v1::ListIssuersResponse response;
    REQUIRE(stub->ListIssuers(&context, {}, &response).ok());
    return response;
  };
  CHECK(ask().wire_certificate().empty());
  made("wire-2", true);
  made("wire", false);
  const auto response = ask();
  REQUIRE(response.wire_certificates_size() == 2);
  for (int i = 0; i < 2; ++i) {
    const rpc::WireCertificate& wanted = servers.wire_certificates[static_cast<std::size_t>(i)];
    const auto facts = must(ca::read_certificate(wanted.der));
    const v1::WireCertificate& found = response.wire_certificates(i);
    CHECK(found.name() == wanted.name);
    CHECK(found.shown() == wanted.shown);
    CHECK(found.subject() == facts.subject);
    CHECK(found.sha256() == to_hex(facts.sha256));
    CHECK(found.der() == as_text(wanted.der));
    CHECK(found.not_after().seconds() == std::chrono::system_clock::to_time_t(facts.not_after));
  }
  CHECK(response.wire_certificate() == response.wire_certificates(0).der());
}

TEST_CASE("refusals of administrators are on record with their names, those of strangers are counted") {
  Servers servers;
  grpc::ClientContext context;
  v1::RemovePhoneRequest request;
  request.set_device("SEP000000000001");
  v1::RemovePhoneResponse response;
  const auto stub = servers.administration(&servers.of(Role::kOperator));
  CHECK(reason_of(stub->RemovePhone(&context, request, &response)) == "UNKNOWN_DEVICE");
  list_phones(*servers.administration(&servers.of(Role::kMonitor)));
  const Identity unlisted = servers.identity("nobody");
  list_phones(*servers.administration(&unlisted));

  servers.site.record();
  const auto events = must(servers.records.list({}, {}));
  const auto recorded = [&](const std::string& actor, const std::string& action, Reason reason) {
    return std::any_of(events.begin(), events.end(), [&](const AuditEvent& event) {
      return event.actor.name == actor && event.action == action && event.outcome == "refused" &&
             event.reason == reason && event.actor.address == "127.0.0.1";
    });
  };
  CHECK(recorded("operator", "phone.remove", Reason::kUnknownDevice));
  CHECK(recorded("monitor", "phone.list", Reason::kRoleDenied));
  const auto refusals = must(servers.records.refusals({}, {0, 10}));
  REQUIRE(refusals.size() == 1);
  CHECK(refusals.front().reason == Reason::kAdministratorUnknown);
  CHECK(refusals.front().address_block == "127.0.0.1");
}

TEST_CASE("answers that nobody takes hold no places, and the oldest of too many is cut off") {
  Servers servers;
  // More than the gate takes before its client reads.
  std::vector<DeviceName> devices;
  for (int i = 1000; i < 2000; ++i) {
    devices.push_back(must(DeviceName::parse("SEP" + std::string(43, 'x') + std::to_string(i))));
  }
  for (std::size_t at = 0; at < devices.size(); at += 500) {
    const std::vector<DeviceName> some(devices.begin() + static_cast<std::ptrdiff_t>(at),
                                       devices.begin() + static_cast<std::ptrdiff_t>(at + 500));
    must(servers.site.phones.add(servers.site.administrator, some, std::string(40, 'm')));
  }
  v1::ListPhonesRequest all;
  all.mutable_page()->set_size(1000);
  const std::string all_octets = all.SerializeAsString();
  const rpc::CallLimits limits{{1, 1}, {1, 1}, {1, 1}, {std::chrono::milliseconds{60'000}, 2}};
  servers.admin = must(rpc::Server::start_admin(servers.use_cases, servers.listen("127.0.0.1:0"), limits));
  const Identity& admin = servers.of(Role::kAdmin);
  const auto stub = servers.administration(&admin);
  REQUIRE(list_phones(*stub).ok());

  // A client that does not read, of which the server may send no more than some octets.
  grpc::GenericStub idle(servers.channel(*servers.admin, &admin, 5));
  grpc::CompletionQueue queue;
  const auto next = [&] {
    void* tag = nullptr;
    bool ok = false;
    REQUIRE(queue.AsyncNext(&tag, &ok, std::chrono::system_clock::now() + std::chrono::seconds{20}) ==
            grpc::CompletionQueue::GOT_EVENT);
    return ok;
  };
  std::array<grpc::ClientContext, 3> contexts;
  std::vector<std::unique_ptr<grpc::GenericClientAsyncReaderWriter>> calls;
  for (grpc::ClientContext& context : contexts) {
    calls.push_back(idle.PrepareCall(&context, "/capf.v1.AdminService/ListPhones", &queue));
    calls.back()->StartCall(nullptr);
    REQUIRE(next());
    const grpc::Slice request(all_octets);
    calls.back()->WriteLast(grpc::ByteBuffer(&request, 1), {}, nullptr);
    REQUIRE(next());
    calls.back()->ReadInitialMetadata(nullptr);
    REQUIRE(next());  // its handler has returned
  }
  CHECK(list_phones(*stub).ok());

  const auto read = [&](grpc::GenericClientAsyncReaderWriter& call) {
    grpc::ByteBuffer answer;
    call.Read(&answer, nullptr);
    const bool whole = next();
    grpc::Status status;
    call.Finish(&status, nullptr);
    next();
    CHECK(whole == status.ok());
    return status.error_code();
  };
  CHECK(read(*calls[0]) == grpc::CANCELLED);
  CHECK(read(*calls[2]) == grpc::OK);
}

TEST_CASE("callers whose certificate has proven nothing take no place of those whose certificate has") {
  Servers servers;
  const rpc::CallLimits limits{{1, 0}, {0, 0}, {0, 0}};
  servers.admin = must(rpc::Server::start_admin(servers.use_cases, servers.listen("127.0.0.1:0"), limits));
  const Identity unlisted = servers.identity("stranger");
  const auto known = servers.administration(&servers.of(Role::kAdmin));
  REQUIRE(list_phones(*known).ok());
  CHECK(reason_of(list_phones(*servers.administration(&unlisted))) == "ADMINISTRATOR_UNKNOWN");

  const auto pending = [&](const Identity* client) {
    grpc::ClientContext context;
    v1::GetPendingOperationRequest request;
    request.mutable_credential()->set_device("SEP001122334455");
    v1::GetPendingOperationResponse response;
    return reason_of(servers.phones(client)->GetPendingOperation(&context, request, &response));
  };
  servers.phone =
      must(rpc::Server::start_phone(servers.use_cases, servers.listen("127.0.0.1:0"), {{1, 0}, {1, 0}, {0, 0}}));
  const Identity stranger("stranger");
  CHECK(pending(nullptr).empty());
  CHECK(pending(&stranger) == "OVERLOADED");
  servers.phone =
      must(rpc::Server::start_phone(servers.use_cases, servers.listen("127.0.0.1:0"), {{1, 0}, {0, 0}, {1, 0}}));
  CHECK(pending(nullptr) == "OVERLOADED");
}

TEST_CASE("a connection above the limits is closed at once, strangers are, in the end, who ends one leaves its place") {
  Servers servers;
  const net::ConnectionLimits limits{8, 8, 2, 2, std::chrono::hours{1}, std::chrono::seconds{4}};
  servers.admin =
      must(rpc::Server::start_admin(servers.use_cases, servers.listen("127.0.0.1:0"), rpc::kAdminCallLimits, limits));
  const auto connect = [&] {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(servers.admin->port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    return Descriptor(fd);
  };
  const auto ends_within = [](const Descriptor& link, std::chrono::milliseconds time) {
    pollfd wanted{link.get(), POLLIN, 0};
    std::uint8_t octet = 0;
    return ::poll(&wanted, 1, static_cast<int>(time.count())) == 1 && ::recv(link.get(), &octet, 1, 0) <= 0;
  };

  // A call authenticates them: their connection takes no stranger's place.
  const auto known = servers.administration(&servers.of(Role::kAdmin));
  REQUIRE(list_phones(*known).ok());
  const Descriptor first = connect();
  {
    const Descriptor second = connect();
    const Descriptor third = connect();
    CHECK(ends_within(third, std::chrono::seconds{2}));
    CHECK_FALSE(ends_within(second, std::chrono::milliseconds{100}));
  }
  bool room = false;
  for (int i = 0; !room && i < 100; ++i) room = !ends_within(connect(), std::chrono::milliseconds{100});
  CHECK(room);
  CHECK(ends_within(first, std::chrono::seconds{8}));  // the handshake would have 10
  CHECK(list_phones(*known).ok());
  CHECK_THAT(servers.metrics.text(), Catch::Matchers::Contains("OVERLOADED"));
}

TEST_CASE("null string needs the role admin") {
  Servers servers;
  servers.site.add_phone("SEP001122334455");
  v1::ScheduleOperationsRequest request;
  request.add_devices("SEP001122334455");
  request.set_kind(v1::OPERATION_KIND_INSTALL);
  request.set_auth(v1::AUTH_MODE_NULL);
  v1::ScheduleOperationsResponse response;
  {
    grpc::ClientContext context;
    const auto stub = servers.administration(&servers.of(Role::kOperator));
    CHECK(reason_of(stub->ScheduleOperations(&context, request, &response)) == "ROLE_DENIED");
  }
  grpc::ClientContext context;
  const auto stub = servers.administration(&servers.of(Role::kAdmin));
  REQUIRE(stub->ScheduleOperations(&context, request, &response).ok());
  CHECK(response.operations_size() == 1);
  CHECK(response.warnings_size() == 1);
}

TEST_CASE("a phone is enrolled with its authentication string over gRPC") {
  Servers servers;
  servers.site.add_phone("SEP001122334455");
  v1::ScheduleOperationsRequest schedule;
  schedule.add_devices("SEP001122334455");
  schedule.set_kind(v1::OPERATION_KIND_INSTALL);
  schedule.set_auth(v1::AUTH_MODE_STRING);
  schedule.mutable_key()->set_order(v1::KEY_ORDER_EC);
  schedule.mutable_key()->set_ec_bits(256);
  v1::ScheduleOperationsResponse scheduled;
  {
    grpc::ClientContext context;
    const auto stub = servers.administration(&servers.of(Role::kOperator));
    REQUIRE(stub->ScheduleOperations(&context, schedule, &scheduled).ok());
  }
  const std::string digits = scheduled.operations(0).auth_string();
  CHECK(digits.size() == 8);

  const auto stub = servers.phones();
  v1::Credential credential;
  credential.set_device("SEP001122334455");
  {
    grpc::ClientContext context;
    v1::GetPendingOperationRequest request;
    *request.mutable_credential() = credential;
    v1::GetPendingOperationResponse response;
    REQUIRE(stub->GetPendingOperation(&context, request, &response).ok());
    CHECK_FALSE(response.authenticated());
    CHECK_FALSE(response.has_operation());
  }
  credential.set_auth_string(digits);
  const PhoneKey key;
  const Bytes pkcs10 = key.request();
  v1::IssueCertificateResponse issued;
  {
    grpc::ClientContext context;
    v1::IssueCertificateRequest request;
    *request.mutable_credential() = credential;
    request.set_certification_request(std::string(pkcs10.begin(), pkcs10.end()));
    REQUIRE(stub->IssueCertificate(&context, request, &issued).ok());
    CHECK(issued.chain_size() == 1);
  }
  grpc::ClientContext context;
  v1::ConfirmCertificateRequest confirm;
  *confirm.mutable_credential() = credential;
  const Sha256 hash = sha256(as_bytes(issued.certificate()));
  confirm.set_sha256(std::string(hash.begin(), hash.end()));
  v1::ConfirmCertificateResponse confirmed;
  REQUIRE(stub->ConfirmCertificate(&context, confirm, &confirmed).ok());
}

TEST_CASE("a call of Enrol ends at its operation's deadline, also where the database cannot be asked") {
  const bool can_be_asked = GENERATE(true, false);
  CAPTURE(can_be_asked);
  Servers servers;
  const DeviceName device = servers.site.add_phone("SEP001122334455");
  v1::EnrolRequest request;
  request.mutable_credential()->set_device(device.text());
  request.mutable_credential()->set_auth_string(
      servers.site.schedule(device, OperationKind::kInstall, AuthMode::kString));
  servers.site.sql("update operations set completes_by = now() + interval '4 seconds'");
  const auto begun = std::chrono::steady_clock::now();
  const auto stub = servers.phones();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{30});
  const auto call = stub->Enrol(&context);
  REQUIRE(call->Write(request));
  v1::EnrolResponse response;
  REQUIRE(call->Read(&response));
  CHECK(response.has_pending());
  service::HighWater& high_water = servers.site.high_water;
  if (!can_be_asked) high_water.report(high_water.epoch(), "test", "the database is behind");
  CHECK_FALSE(call->Read(&response));
  CHECK(reason_of(call->Finish()) == "DEADLINE_PASSED");
  // Before the phone's authority is looked at again.
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds{9});
  if (!can_be_asked) return;
  const auto attempt = servers.site.last_attempt(device);
  REQUIRE(attempt);
  CHECK(attempt->reason == Reason::kDeadlinePassed);
}

TEST_CASE("phones whose calls of Enrol break off together are each on record") {
  constexpr int kMoreThanThreads = 40;
  struct Phone {
    DeviceName device;
    std::unique_ptr<v1::PhoneService::Stub> stub;
    grpc::ClientContext context{};
    std::unique_ptr<grpc::ClientReaderWriter<v1::EnrolRequest, v1::EnrolResponse>> call{};
  };
  Servers servers;
  std::vector<std::unique_ptr<Phone>> phones;
  for (int i = 10; i < 10 + kMoreThanThreads; ++i) {
    const DeviceName device = servers.site.add_phone("SEP0011223344" + std::to_string(i));
    auto& phone = *phones.emplace_back(new Phone{device, servers.phones()});
    v1::EnrolRequest request;
    request.mutable_credential()->set_device(device.text());
    request.mutable_credential()->set_auth_string(
        servers.site.schedule(device, OperationKind::kInstall, AuthMode::kString));
    phone.call = phone.stub->Enrol(&phone.context);
    v1::EnrolResponse pending;
    REQUIRE((phone.call->Write(request) && phone.call->Read(&pending)));
  }
  for (const auto& phone : phones) phone->context.TryCancel();
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  for (const auto& phone : phones) {
    CAPTURE(phone->device.text());
    std::optional<Attempt> attempt;
    do {
      attempt = servers.site.last_attempt(phone->device);
    } while (!attempt && std::chrono::steady_clock::now() < patience);
    REQUIRE(attempt);
    CHECK(attempt->reason == Reason::kPhoneCommunication);
  }
}

TEST_CASE("a stranger's malformed request is refused with its reason and counted") {
  Servers servers;
  const auto stub = servers.phones();
  const auto ask = [&](const std::string& device, const std::string& digits) {
    grpc::ClientContext context;
    v1::GetPendingOperationRequest request;
    request.mutable_credential()->set_device(device);
    request.mutable_credential()->set_auth_string(digits);
    v1::GetPendingOperationResponse response;
    return reason_of(stub->GetPendingOperation(&context, request, &response));
  };
  CHECK(ask("SEP 1", "") == "INVALID_DEVICE_NAME");
  CHECK(ask("SEP001122334455", "12") == "INVALID_AUTH_STRING");
  CHECK(ask("SEP001122334455", "12345678") == "AUTHENTICATION_FAILED");
  servers.site.record();
  CHECK(must(servers.records.refusals({}, {0, 10})).size() == 3);

  grpc::ClientContext context;
  v1::IssueCertificateRequest request;
  request.mutable_credential()->set_device("SEP001122334455");
  request.set_certification_request(std::string(10 << 20, 'x'));
  v1::IssueCertificateResponse response;
  CHECK(stub->IssueCertificate(&context, request, &response).error_code() == grpc::RESOURCE_EXHAUSTED);
}

TEST_CASE("reflection is for everybody at the phones' port and for administrators at theirs") {
  const Servers servers;
  const auto services = [&](const rpc::Server& server, const Identity* client) {
    const auto stub = grpc::reflection::v1alpha::ServerReflection::NewStub(servers.channel(server, client));
    grpc::ClientContext context;
    const auto stream = stub->ServerReflectionInfo(&context);
    grpc::reflection::v1alpha::ServerReflectionRequest request;
    request.set_list_services("");
    stream->Write(request);
    grpc::reflection::v1alpha::ServerReflectionResponse listed;
    stream->Read(&listed);
    request.set_file_containing_symbol("capf.v1.PhoneService");
    stream->Write(request);
    grpc::reflection::v1alpha::ServerReflectionResponse file;
    stream->Read(&file);
    stream->WritesDone();
    stream->Finish();
    return std::pair{listed.list_services_response().service_size(),
                     file.file_descriptor_response().file_descriptor_proto_size()};
  };
  CHECK(services(*servers.phone, nullptr) == std::pair{2, 5});  // phone, access, descriptor, types, timestamp
  const Identity unlisted = servers.identity("nobody");
  CHECK(services(*servers.admin, &unlisted) == std::pair{0, 0});
  CHECK(services(*servers.admin, &servers.of(Role::kMonitor)) == std::pair{4, 5});
}

TEST_CASE("reflection finds the option of the methods") {
  const Servers servers;
  const auto stub = grpc::reflection::v1alpha::ServerReflection::NewStub(servers.channel(*servers.phone, nullptr));
  grpc::ClientContext context;
  const auto stream = stub->ServerReflectionInfo(&context);
  const auto ask = [&](const grpc::reflection::v1alpha::ServerReflectionRequest& request) {
    grpc::reflection::v1alpha::ServerReflectionResponse response;
    stream->Write(request);
    stream->Read(&response);
    return response;
  };
  grpc::reflection::v1alpha::ServerReflectionRequest request;
  request.set_all_extension_numbers_of_type("google.protobuf.MethodOptions");
  const auto numbers = ask(request).all_extension_numbers_response();
  REQUIRE(numbers.extension_number_size() == 1);
  request.mutable_file_containing_extension()->set_containing_type(numbers.base_type_name());
  request.mutable_file_containing_extension()->set_extension_number(numbers.extension_number(0));
  CHECK(ask(request).file_descriptor_response().file_descriptor_proto_size() == 2);  // access, descriptor
  request.mutable_file_containing_extension()->set_extension_number(1);
  CHECK(ask(request).error_response().error_code() == grpc::NOT_FOUND);
  request.set_all_extension_numbers_of_type("capf.v1.Nothing");
  CHECK(ask(request).error_response().error_code() == grpc::NOT_FOUND);
  stream->WritesDone();
  stream->Finish();
}

TEST_CASE("health is told to administrators, and turns when the server drains") {
  Servers servers;
  const auto check = [&](const Identity* client, const std::string& service) {
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    grpc::health::v1::HealthCheckResponse response;
    const auto status = servers.health(client)->Check(&context, request, &response);
    return status.ok() ? grpc::health::v1::HealthCheckResponse::ServingStatus_Name(response.status())
                       : reason_of(status);
  };
  const Identity& monitor = servers.of(Role::kMonitor);
  CHECK(check(&monitor, "") == "SERVING");
  CHECK(check(&monitor, "capf.v1.PhoneService") == "SERVING");
  CHECK(check(&monitor, "capf.v1.Nothing") == "UNKNOWN_SERVICE");
  const Identity unlisted = servers.identity("nobody");
  CHECK(check(&unlisted, "") == "ADMINISTRATOR_UNKNOWN");

  grpc::ClientContext context;
  const auto stub = servers.health(&monitor);
  const auto watch = stub->Watch(&context, {});
  grpc::health::v1::HealthCheckResponse seen;
  REQUIRE(watch->Read(&seen));
  CHECK(seen.status() == grpc::health::v1::HealthCheckResponse::SERVING);
  servers.readiness.drain();
  REQUIRE(watch->Read(&seen));
  CHECK(seen.status() == grpc::health::v1::HealthCheckResponse::NOT_SERVING);
  CHECK_FALSE(watch->Read(&seen));
  CHECK(reason_of(watch->Finish()) == "SHUTTING_DOWN");
  CHECK(check(&monitor, "") == "SHUTTING_DOWN");
}

TEST_CASE("a stream whose caller reads nothing gives its place back") {
  Servers servers;
  for (int i = 0; i < 4; ++i) {
    const std::string device = "SEP00112233445" + std::to_string(i);
    servers.site.add_phone(device);
    servers.site.schedule(must(DeviceName::parse(device)), OperationKind::kInstall, AuthMode::kString);
  }
  const Identity& monitor = servers.of(Role::kMonitor);
  const auto idle = v1::MonitorService::NewStub(servers.channel(*servers.admin, &monitor, 5));
  {  // gRPC may announce its small window only after the first call of a connection has begun
    grpc::ClientContext context;
    v1::GetSummaryResponse summary;
    REQUIRE(idle->GetSummary(&context, {}, &summary).ok());
  }
  v1::WatchOperationsRequest request;
  request.set_cursor("0.0");
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::OperationChange>>> streams;
  for (int i = 0; i < 16; ++i) {  // as many as there are
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    contexts.back()->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{30});
    streams.push_back(idle->WatchOperations(contexts.back().get(), request));
    streams.back()->WaitForInitialMetadata();
  }
  const auto stub = servers.monitoring(&monitor);
  const auto begun = std::chrono::steady_clock::now();
  const auto tried = [&] {
    grpc::ClientContext context;
    const auto stream = stub->WatchOperations(&context, request);
    v1::OperationChange change;
    const bool read = stream->Read(&change);
    if (read) context.TryCancel();
    const std::string reason = reason_of(stream->Finish());
    return read ? "" : reason;
  };
  CHECK(tried() == "OVERLOADED");
  std::string reason;
  do {
    reason = tried();
  } while (reason == "OVERLOADED" && std::chrono::steady_clock::now() - begun < std::chrono::seconds{20});
  CHECK(reason.empty());
  v1::OperationChange change;
  while (streams.front()->Read(&change)) {  // what had arrived before the stream was ended
  }
  CHECK(streams.front()->Finish().error_code() == grpc::StatusCode::CANCELLED);
  for (const auto& context : contexts) context->TryCancel();
}

TEST_CASE("changes are streamed as they are committed, and the stream ends with the caller's authority") {
  Servers servers;
  servers.site.add_phone("SEP001122334455");
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{30});
  const auto stub = servers.monitoring(&servers.of(Role::kMonitor));
  v1::WatchOperationsRequest request;
  request.set_cursor("0.0");
  const auto stream = stub->WatchOperations(&context, request);
  servers.site.schedule(must(DeviceName::parse("SEP001122334455")), OperationKind::kInstall, AuthMode::kString);
  v1::OperationChange change;
  REQUIRE(stream->Read(&change));
  CHECK(change.action() == "operation.schedule");
  CHECK(change.operation().device() == "SEP001122334455");
  CHECK_FALSE(change.cursor().empty());

  const auto disabled = std::chrono::steady_clock::now();
  must(servers.administrators.disable(servers.site.administrator, "monitor"));
  while (stream->Read(&change)) {
  }
  CHECK(reason_of(stream->Finish()) == "ADMINISTRATOR_DISABLED");
  CHECK(std::chrono::steady_clock::now() - disabled < std::chrono::seconds{10});
}
