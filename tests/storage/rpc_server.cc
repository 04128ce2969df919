// The two gRPC servers as clients see them: over TLS, on free ports, with the use cases over a real database.
#include <algorithm>
#include <array>
#include <string>

#include <catch2/catch.hpp>
#include <grpcpp/generic/generic_stub.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "capf/base/descriptor.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "tests/storage/rpc_servers.h"

using namespace capf;
using namespace capf::test;

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
  const auto start = [&](std::chrono::milliseconds longest) {
    const net::ConnectionLimits limits{8, 8, 2, 2, std::chrono::hours{1}, longest};
    servers.admin =
        must(rpc::Server::start_admin(servers.use_cases, servers.listen("127.0.0.1:0"), rpc::kAdminCallLimits, limits));
  };
  start(std::chrono::hours{1});
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
  CHECK(list_phones(*known).ok());
  CHECK_THAT(servers.metrics.text(), Catch::Contains("OVERLOADED"));

  start(std::chrono::seconds{4});
  const auto again = servers.administration(&servers.of(Role::kAdmin));
  REQUIRE(list_phones(*again).ok());
  CHECK(ends_within(connect(), std::chrono::seconds{8}));  // the handshake would have 10
  CHECK(list_phones(*again).ok());
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
