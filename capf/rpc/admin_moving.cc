#include "capf/rpc/admin.h"
#include "capf/rpc/convert.h"
#include "capf/rpc/status.h"
#include "capf/service/moving.h"

namespace capf::rpc {

grpc::Status AdminService::MovePhones(grpc::ServerContext* context, const v1::MovePhonesRequest* request,
                                      v1::MovePhonesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(service::Move move, take_move(*request));
    move.role = call.administrator.role;
    service::Moving& moving = use_cases_.moving;
    CAPF_LET(const service::MoveAnswer answer, request->dry_run() ? moving.check(move) : moving.move(call.actor, move));
    response->set_added(answer.added);
    response->set_certificates(answer.certificates);
    for (const DeviceName& device : answer.scheduled) response->add_scheduled(device.text());
    for (const service::MoveProblem& problem : answer.problems) {
      v1::MovePhonesResponse::Problem& out = *response->add_problems();
      out.set_place(static_cast<std::int32_t>(problem.place));
      out.set_reason(std::string(to_string(problem.error.reason)));
      out.set_message(to_utf8(problem.error.message));
    }
    return {};
  });
}

}  // namespace capf::rpc
