#include "capf/domain/device.h"
#include "capf/rpc/admin.h"
#include "capf/rpc/convert.h"
#include "capf/service/administrators.h"
#include "capf/service/records.h"

namespace capf::rpc {
namespace {

template <class Response>
void to_answer(const service::NewAdministrator& made, Response& response) {
  to_proto(made.administrator, *response.mutable_administrator());
  response.set_certificate(to_octets(made.certificate));
  for (const Bytes& certificate : made.chain) response.add_chain(to_octets(certificate));
}

}  // namespace

grpc::Status AdminService::RenewAdministrator(grpc::ServerContext* context,
                                              const v1::RenewAdministratorRequest* request,
                                              v1::RenewAdministratorResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const auto made, use_cases_.administrators.renew(call.actor, call.administrator, request->name(),
                                                              as_bytes(request->certification_request())));
    to_answer(made, *response);
    return {};
  });
}

grpc::Status AdminService::EnableAdministrator(grpc::ServerContext* context,
                                               const v1::EnableAdministratorRequest* request,
                                               v1::EnableAdministratorResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    const BytesView octets = as_bytes(request->certification_request());
    CAPF_LET(const auto made, use_cases_.administrators.enable(call.actor, request->name(), octets));
    to_answer(made, *response);
    return {};
  });
}

grpc::Status AdminService::ChangeAdministrator(grpc::ServerContext* context,
                                               const v1::ChangeAdministratorRequest* request,
                                               v1::ChangeAdministratorResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const Role role, role_from(request->role()));
    CAPF_LET(const Administrator changed, use_cases_.administrators.change_role(call.actor, request->name(), role));
    to_proto(changed, *response->mutable_administrator());
    return {};
  });
}

grpc::Status AdminService::ListPhoneHistory(grpc::ServerContext* context, const v1::ListPhoneHistoryRequest* request,
                                            v1::ListPhoneHistoryResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const Page page, page_from_either_end(request->page()));
    CAPF_LET(const AuditFilter filter, filter_from(*request));
    CAPF_LET(const std::vector<AuditEvent> events, use_cases_.records.list(filter, page));
    for (const AuditEvent& event : events) to_proto(event, *response->add_events());
    response->set_next_page_token(next_page_token(events, page));
    return {};
  });
}

}  // namespace capf::rpc
