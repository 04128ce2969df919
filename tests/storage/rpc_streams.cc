// The streams of changes to those who monitor a site.
#include <chrono>
#include <memory>
#include <string>
#include <utility>
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
  constexpr std::size_t kStreams = 16;  // as many as there are
  struct Watch {
    explicit Watch(v1::MonitorService::Stub& stub, const v1::WatchOperationsRequest& request) {
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{120});
      stream = stub.WatchOperations(&context, request);
    }
    ~Watch() { context.TryCancel(); }

    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::OperationChange>> stream;
  };
  std::vector<std::unique_ptr<Watch>> unread;
  for (std::size_t i = 0; i < kStreams; ++i) {
    unread.push_back(std::make_unique<Watch>(*idle, request));
    unread.back()->stream->WaitForInitialMetadata();
  }
  const auto stub = servers.monitoring(&monitor);
  std::vector<std::unique_ptr<Watch>> readers;
  v1::OperationChange change;
  const auto next_reader = [&] {
    auto watch = std::make_unique<Watch>(*stub, request);
    if (!watch->stream->Read(&change)) return reason_of(watch->stream->Finish());
    readers.push_back(std::move(watch));
    return std::string();
  };
  CHECK(next_reader() == "OVERLOADED");
  const auto begun = std::chrono::steady_clock::now();
  while (readers.size() < kStreams && std::chrono::steady_clock::now() - begun < std::chrono::seconds{30}) {
    const std::string reason = next_reader();
    if (!reason.empty()) CHECK(reason == "OVERLOADED");
  }
  CHECK(readers.size() == kStreams);
  for (const auto& watch : unread) {
    while (watch->stream->Read(&change)) {  // what had arrived before the stream was ended
    }
    CHECK(watch->stream->Finish().error_code() == grpc::StatusCode::CANCELLED);
  }
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
