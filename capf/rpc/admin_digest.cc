#include <string>
#include <vector>

#include "capf/rpc/admin.h"
#include "capf/rpc/convert.h"
#include "capf/service/digest_users.h"

namespace capf::rpc {
namespace {

constexpr std::string_view kService = "capf.v1.AdminService/";

}  // namespace

grpc::Status AdminService::CheckDigestUsers(grpc::ServerContext* context, const v1::CheckDigestUsersRequest* request,
                                            v1::CheckDigestUsersResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    const std::vector<std::string> names(request->names().begin(), request->names().end());
    CAPF_LET(const auto problems, use_cases_.digest_users.check(names));
    for (const service::DigestProblem& problem : problems) to_proto(problem, *response->add_problems());
    return {};
  });
}

}  // namespace capf::rpc
