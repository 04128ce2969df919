// Phones that enrol, over gRPC.
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/storage/rpc_servers.h"

using namespace capf;
using namespace capf::test;

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
  const auto patience = std::chrono::steady_clock::now() + std::chrono::minutes{2};
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
