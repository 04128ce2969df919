#include "capf/rpc/monitor.h"

#include "capf/rpc/admission/cutoff.h"
#include "capf/rpc/convert.h"
#include "capf/rpc/readiness.h"
#include "capf/rpc/status.h"
#include "capf/service/calls.h"
#include "capf/service/monitor.h"
#include "capf/service/shared_lines.h"

namespace capf::rpc {
namespace {

constexpr std::string_view kService = "capf.v1.MonitorService/";
constexpr std::chrono::milliseconds kBetweenLooks{500};
constexpr int kChangesAtOnce = 500;

}  // namespace

grpc::Status MonitorService::ListPending(grpc::ServerContext* context, const v1::ListPendingRequest* request,
                                         v1::ListPendingResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    const TimePoint now = use_cases_.clock.now();
    CAPF_LET(const Page page, page_from_either_end(request->page()));
    CAPF_LET(const OperationFilter filter, filter_from(*request, now));
    CAPF_LET(const std::vector<Operation> operations, use_cases_.monitor.pending(filter, page));
    for (const Operation& operation : operations) to_proto(operation, now, *response->add_operations());
    response->set_next_page_token(next_page_token(operations, page));
    return {};
  });
}

grpc::Status MonitorService::GetSummary(grpc::ServerContext* context, const v1::GetSummaryRequest* request,
                                        v1::GetSummaryResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const std::vector<int> days, days_from(*request));
    CAPF_LET(const Summary summary, use_cases_.monitor.summary(days));
    to_proto(summary, *response);
    return {};
  });
}

grpc::Status MonitorService::GetReadiness(grpc::ServerContext* context, const v1::GetReadinessRequest* request,
                                          v1::GetReadinessResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    const Status ready = use_cases_.readiness.check();
    response->set_ready(ready.has_value());
    if (!ready) {
      response->set_reason(std::string(to_string(ready.error().reason)));
      response->set_message(ready.error().message);
      return {};
    }
    CAPF_LET(const auto silent, use_cases_.monitor.silent_servers());
    for (const ServerRecord& each : silent) {
      v1::SilentServer* server = response->add_silent_servers();
      server->set_name(each.name);
      to_proto(each.seen_at, *server->mutable_seen_at());
    }
    for (const std::string& warning : use_cases_.line_survey.warnings()) response->add_warnings(warning);
    CAPF_LET(const std::vector<std::string> warnings, use_cases_.monitor.warnings());
    for (const std::string& warning : warnings) response->add_warnings(warning);
    CAPF_LET(const std::vector<std::string> of_lists, use_cases_.trust_lists.warnings());
    for (const std::string& warning : of_lists) response->add_warnings(to_utf8(warning));
    return {};
  });
}

grpc::Status MonitorService::ClassifyCall(grpc::ServerContext* context, const v1::ClassifyCallRequest* request,
                                          v1::ClassifyCallResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const CallEnquiry enquiry, enquiry_from(*request));
    CAPF_LET(const rules::CallAnswer answer, use_cases_.calls.classify(call.actor, enquiry));
    to_proto(enquiry, answer, *response);
    return {};
  });
}

grpc::Status MonitorService::WatchOperations(grpc::ServerContext* context, const v1::WatchOperationsRequest* request,
                                             grpc::ServerWriter<v1::OperationChange>* writer) {
  return guard_.admin_stream(*context, {kService, __func__}, streams_, [&](Stream& stream) {
    return watch(*context, request->cursor(), stream, *writer,
                 [this](const ChangeCursor& after, int limit) { return use_cases_.monitor.changes(after, limit); });
  });
}

grpc::Status MonitorService::WatchSecurity(grpc::ServerContext* context, const v1::WatchSecurityRequest* request,
                                           grpc::ServerWriter<v1::SecurityChange>* writer) {
  return guard_.admin_stream(*context, {kService, __func__}, security_streams_, [&](Stream& stream) {
    return watch(*context, request->cursor(), stream, *writer, [this](const ChangeCursor& after, int limit) {
      return use_cases_.monitor.security_changes(after, limit);
    });
  });
}

template <class Message, class Read>
Status MonitorService::watch(grpc::ServerContext& context, const std::string& begin, Stream& stream,
                             grpc::ServerWriter<Message>& writer, Read read) {
  ChangeCursor cursor;
  if (begin.empty()) {
    CAPF_LET(cursor, use_cases_.monitor.end_of_changes());
  } else {
    CAPF_LET(cursor, cursor_from(begin));
  }
  // From here on the caller gets every change. The initial metadata says so, before the first change.
  {
    const Cutoff cutoff(context, kLongestUnread);
    writer.SendInitialMetadata();
  }
  for (std::chrono::milliseconds wait{0};;) {
    CAPF_TRY(stream.pause(wait));
    CAPF_LET(const auto changes, read(cursor, kChangesAtOnce));
    for (const auto& change : changes) {
      Message out;
      to_proto(change, use_cases_.clock.now(), out);
      if (!write_soon(context, writer, out, &change != &changes.back())) return fail(Reason::kCallerGone);
      cursor = change.cursor;
      CAPF_TRY(stream.pause(std::chrono::milliseconds{0}));  // a caller who reads slowly is judged meanwhile
    }
    wait = static_cast<int>(changes.size()) < kChangesAtOnce ? kBetweenLooks : std::chrono::milliseconds{0};
  }
}

}  // namespace capf::rpc
