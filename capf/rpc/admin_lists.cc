#include "capf/rpc/admin.h"
#include "capf/rpc/convert.h"
#include "capf/rpc/status.h"
#include "capf/service/trust_lists.h"

namespace capf::rpc {
namespace {

template <class Response>
void add_lists(const service::BuildAnswer& answer, Response& response) {
  for (const service::BuiltList& built : answer.lists) to_proto(built, *response.add_lists());
}

}  // namespace

grpc::Status AdminService::GetTrustLists(grpc::ServerContext* context, const v1::GetTrustListsRequest* request,
                                         v1::GetTrustListsResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const service::ListsView view, use_cases_.trust_lists.show());
    for (const service::ListView& list : view.lists) to_proto(list, *response->add_lists());
    if (view.state.signer) response->set_signer(to_hex(*view.state.signer));
    if (view.state.next_signer) response->set_next_signer(to_hex(*view.state.next_signer));
    response->set_released(view.state.released);
    for (const std::string& words : view.stale) response->add_stale(to_utf8(words));
    for (const std::string& words : view.next) response->add_next(to_utf8(words));
    return {};
  });
}

grpc::Status AdminService::ListTrustLists(grpc::ServerContext* context, const v1::ListTrustListsRequest* request,
                                          v1::ListTrustListsResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const Page page, from_proto(request->page()));
    CAPF_LET(const TrustListKind kind, list_kind_from(request->kind()));
    CAPF_LET(const std::vector<ListGeneration> lists, use_cases_.trust_lists.list(kind, page));
    for (const ListGeneration& list : lists) to_proto(kind, list, *response->add_lists());
    if (lists.size() == static_cast<std::size_t>(page.limit)) {
      response->set_next_page_token(std::to_string(lists.back().generation));
    }
    return {};
  });
}

grpc::Status AdminService::BuildTrustLists(grpc::ServerContext* context, const v1::BuildTrustListsRequest* request,
                                           v1::BuildTrustListsResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::BuildAnswer answer,
             use_cases_.trust_lists.build(call.actor, request->dry_run(), request->force_new_trust()));
    add_lists(answer, *response);
    response->set_published(answer.published);
    for (const std::string& words : answer.left_out) response->add_left_out(to_utf8(words));
    return {};
  });
}

grpc::Status AdminService::ExportTrustList(grpc::ServerContext* context, const v1::ExportTrustListRequest* request,
                                           v1::ExportTrustListResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const TrustListKind kind, list_kind_from(request->kind()));
    CAPF_LET(const ListDigest digest, list_digest_from(request->digest()));
    std::optional<std::int64_t> generation;
    if (request->generation() != 0) generation = request->generation();
    CAPF_LET(const PublishedList list, use_cases_.trust_lists.find(kind, generation, digest));
    response->set_octets(to_octets(list.octets));
    response->set_generation(list.generation);
    return {};
  });
}

grpc::Status AdminService::ServeTrustList(grpc::ServerContext* context, const v1::ServeTrustListRequest* request,
                                          v1::ServeTrustListResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const DeviceName device, DeviceName::parse(request->device()));
    CAPF_LET(const TrustListKind kind, list_kind_from(request->kind()));
    CAPF_LET(const service::ServedList served,
             use_cases_.trust_lists.serve(call.actor, device, kind, request->generation()));
    response->set_generation(served.generation);
    response->set_newest(served.newest);
    response->set_next(served.next);
    return {};
  });
}

grpc::Status AdminService::ReleaseTrustLists(grpc::ServerContext* context, const v1::ReleaseTrustListsRequest* request,
                                             v1::ReleaseTrustListsResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::BuildAnswer answer, use_cases_.trust_lists.release(call.actor));
    add_lists(answer, *response);
    return {};
  });
}

grpc::Status AdminService::ActivateTrustedCertificate(grpc::ServerContext* context,
                                                      const v1::ActivateTrustedCertificateRequest* request,
                                                      v1::ActivateTrustedCertificateResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::Activation activation,
             use_cases_.trust_lists.activate(call.actor, request->sha256(), request->force()));
    response->set_sha256(to_hex(activation.certificate));
    for (const service::ListReach& reach : activation.reach) to_proto(reach, *response->add_reach());
    return {};
  });
}

grpc::Status AdminService::ReplaceListSigner(grpc::ServerContext* context, const v1::ReplaceListSignerRequest* request,
                                             v1::ReplaceListSignerResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::SignerStep step, signer_step_from(request->step()));
    CAPF_LET(const service::BuildAnswer answer,
             use_cases_.trust_lists.replace_signer(call.actor, step, request->force()));
    add_lists(answer, *response);
    return {};
  });
}

}  // namespace capf::rpc
