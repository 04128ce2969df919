#include "capf/rpc/admin.h"
#include "capf/rpc/convert.h"
#include "capf/service/shared_lines.h"

namespace capf::rpc {

grpc::Status AdminService::AddLine(grpc::ServerContext* context, const v1::AddLineRequest* request,
                                   v1::AddLineResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const std::vector<DeviceName> devices, devices_from(request->devices()));
    const service::NewMembers wanted{request->name(), devices, request->allow_mixed()};
    CAPF_LET(const service::JoinedLine joined, use_cases_.lines.add(call.actor, wanted));
    to_proto(joined.view, *response->mutable_line());
    response->set_added(joined.added);
    return {};
  });
}

grpc::Status AdminService::ListLines(grpc::ServerContext* context, const v1::ListLinesRequest* request,
                                     v1::ListLinesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const Page page, from_proto(request->page()));
    CAPF_LET(const service::LinesPage found,
             use_cases_.lines.list({request->mixed(), request->mixed_in_effect()}, page));
    for (const service::LineView& view : found.lines) to_proto(view, *response->add_lines());
    if (found.next) response->set_next_page_token(std::to_string(*found.next));
    return {};
  });
}

grpc::Status AdminService::GetLine(grpc::ServerContext* context, const v1::GetLineRequest* request,
                                   v1::GetLineResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_TRY(check_line_name(request->name()));
    CAPF_LET(const service::LineView view, use_cases_.lines.show(request->name()));
    to_proto(view, *response->mutable_line());
    for (const LineMember& member : view.members) to_proto(member, *response->add_devices());
    return {};
  });
}

grpc::Status AdminService::RemoveLine(grpc::ServerContext* context, const v1::RemoveLineRequest* request,
                                      v1::RemoveLineResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_TRY(check_line_name(request->name()));
    std::vector<DeviceName> devices;
    if (!request->devices().empty()) {
      CAPF_LET(devices, devices_from(request->devices()));
    }
    CAPF_LET(const int removed, use_cases_.lines.remove(call.actor, request->name(), devices));
    response->set_removed(removed);
    return {};
  });
}

}  // namespace capf::rpc
