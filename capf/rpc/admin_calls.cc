#include "capf/rpc/admin.h"
#include "capf/rpc/convert.h"
#include "capf/service/calls.h"

namespace capf::rpc {

grpc::Status AdminService::AddTrustedParty(grpc::ServerContext* context, const v1::AddTrustedPartyRequest* request,
                                           v1::AddTrustedPartyResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const TrustedParty party, trusted_party_from(*request));
    CAPF_LET(const bool changed, use_cases_.calls.trust(call.actor, party));
    response->set_changed(changed);
    return {};
  });
}

grpc::Status AdminService::ListTrustedParties(grpc::ServerContext* context,
                                              const v1::ListTrustedPartiesRequest* request,
                                              v1::ListTrustedPartiesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const Page page, from_proto(request->page()));
    CAPF_LET(const std::vector<TrustedParty> parties, use_cases_.calls.trusted(page));
    for (const TrustedParty& party : parties) to_proto(party, *response->add_parties());
    response->set_next_page_token(next_page_token(parties, page));
    return {};
  });
}

grpc::Status AdminService::RemoveTrustedParty(grpc::ServerContext* context,
                                              const v1::RemoveTrustedPartyRequest* request,
                                              v1::RemoveTrustedPartyResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const CallParty party, parse_party(request->party()));
    CAPF_LET(const TrustedParty removed, use_cases_.calls.distrust(call.actor, party));
    to_proto(removed, *response->mutable_party());
    return {};
  });
}

}  // namespace capf::rpc
