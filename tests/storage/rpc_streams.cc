// The streams of changes to those who monitor a site.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/storage/rpc_servers.h"

using namespace capf;
using namespace capf::test;

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

TEST_CASE(
    "changes of security are streamed as they are committed, from a cursor on, and not from one that has expired") {
  Servers servers;
  const auto stub = servers.monitoring(&servers.of(Role::kMonitor));
  v1::SecurityChange change;
  {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{30});
    const auto stream = stub->WatchSecurity(&context, {});
    stream->WaitForInitialMetadata();
    servers.site.sql("update site_security set mode = 'mixed'");
    REQUIRE(stream->Read(&change));
    CHECK(change.kind() == "mode_changed");
    CHECK(change.mode() == "mixed");
    CHECK(change.device().empty());
    context.TryCancel();
    stream->Finish();
  }
  servers.site.sql("update site_security set mode = 'nonsecure'");
  v1::WatchSecurityRequest request;
  request.set_cursor(change.cursor());
  {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{30});
    const auto stream = stub->WatchSecurity(&context, request);
    REQUIRE(stream->Read(&change));
    CHECK(change.mode() == "nonsecure");
    context.TryCancel();
    stream->Finish();
  }
  servers.site.sql("select delete_security_changes('0', 100)");
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{30});
  const auto stream = stub->WatchSecurity(&context, request);
  CHECK_FALSE(stream->Read(&change));
  CHECK(reason_of(stream->Finish()) == "CURSOR_EXPIRED");
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
