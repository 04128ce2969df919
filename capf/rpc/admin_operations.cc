#include "capf/rpc/admin.h"
#include "capf/rpc/convert.h"
#include "capf/service/operations.h"

namespace capf::rpc {

grpc::Status AdminService::ScheduleOperations(grpc::ServerContext* context,
                                              const v1::ScheduleOperationsRequest* request,
                                              v1::ScheduleOperationsResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(service::ScheduleRequest schedule, schedule_from(*request));
    schedule.role = call.administrator.role;
    if (schedule.auth) CAPF_TRY(may_schedule(schedule.role, *schedule.auth));
    CAPF_LET(const service::ScheduleAnswer answer, use_cases_.operations.schedule(call.actor, schedule));
    const TimePoint now = use_cases_.clock.now();
    for (const service::Scheduled& scheduled : answer.operations) to_proto(scheduled, now, *response->add_operations());
    for (const std::string& warning : answer.warnings) response->add_warnings(warning);
    return {};
  });
}

grpc::Status AdminService::ListOperations(grpc::ServerContext* context, const v1::ListOperationsRequest* request,
                                          v1::ListOperationsResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const Page page, page_from_either_end(request->page()));
    CAPF_LET(const OperationFilter filter, filter_from(*request));
    CAPF_LET(const std::vector<Operation> operations, use_cases_.operations.list(filter, page));
    const TimePoint now = use_cases_.clock.now();
    for (const Operation& operation : operations) to_proto(operation, now, *response->add_operations());
    response->set_next_page_token(next_page_token(operations, page));
    return {};
  });
}

grpc::Status AdminService::GetOperation(grpc::ServerContext* context, const v1::GetOperationRequest* request,
                                        v1::GetOperationResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const DeviceName device, DeviceName::parse(request->device()));
    CAPF_LET(const Operation operation, use_cases_.operations.show(device));
    to_proto(operation, use_cases_.clock.now(), *response->mutable_operation());
    return {};
  });
}

grpc::Status AdminService::CancelOperation(grpc::ServerContext* context, const v1::CancelOperationRequest* request,
                                           v1::CancelOperationResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const DeviceName device, DeviceName::parse(request->device()));
    CAPF_LET(const Operation operation, use_cases_.operations.cancel(call.actor, device));
    to_proto(operation, use_cases_.clock.now(), *response->mutable_operation());
    return {};
  });
}

grpc::Status AdminService::ScheduleSelection(grpc::ServerContext* context, const v1::ScheduleSelectionRequest* request,
                                             v1::ScheduleSelectionResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(service::ScheduleBulk bulk, schedule_from(*request));
    bulk.plan.role = call.administrator.role;
    if (bulk.plan.auth) CAPF_TRY(may_schedule(bulk.plan.role, *bulk.plan.auth));
    if (request->bulk().dry_run()) {
      CAPF_LET(const service::BulkCheck check, use_cases_.operations.check_schedule(bulk));
      to_proto(check, *response);
      for (const std::string& warning : check.warnings) response->add_warnings(warning);
      to_proto(check.completes_by, *response->mutable_completes_by());
      return {};
    }
    CAPF_LET(const service::BulkScheduled answer, use_cases_.operations.schedule(call.actor, bulk));
    to_proto(answer, use_cases_.clock.now(), *response);
    return {};
  });
}

grpc::Status AdminService::CancelSelection(grpc::ServerContext* context, const v1::CancelSelectionRequest* request,
                                           v1::CancelSelectionResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::OperationBulk bulk, bulk_from(request->bulk()));
    if (request->bulk().dry_run()) {
      CAPF_LET(const service::BulkCheck check, use_cases_.operations.check_cancel(bulk));
      to_proto(check, *response);
      return {};
    }
    CAPF_LET(const service::BulkCancelled answer, use_cases_.operations.cancel(call.actor, bulk));
    to_proto(answer, use_cases_.clock.now(), *response);
    return {};
  });
}

}  // namespace capf::rpc
