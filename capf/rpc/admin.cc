#include "capf/rpc/admin.h"

#include <algorithm>

#include "capf/rpc/convert.h"
#include "capf/service/addresses.h"
#include "capf/service/administrators.h"
#include "capf/service/issuers.h"
#include "capf/service/records.h"
#include "capf/service/recovery.h"
#include "capf/service/trust.h"

namespace capf::rpc {

grpc::Status AdminService::ListLimitedAddresses(grpc::ServerContext* context,
                                                const v1::ListLimitedAddressesRequest* request,
                                                v1::ListLimitedAddressesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const auto addresses, use_cases_.addresses.limited());
    for (const service::AddressView& view : addresses) to_proto(view, *response->add_addresses());
    return {};
  });
}

grpc::Status AdminService::UnlockAddress(grpc::ServerContext* context, const v1::UnlockAddressRequest* request,
                                         v1::UnlockAddressResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const Address address, address_from(request->address()));
    response->set_address(address.block());
    CAPF_LET(const bool limited, use_cases_.addresses.unlock(call.actor, address));
    response->set_limited(limited);
    return {};
  });
}

grpc::Status AdminService::ListIssuers(grpc::ServerContext* context, const v1::ListIssuersRequest* request,
                                       v1::ListIssuersResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(std::vector<IssuerRecord> issuers, use_cases_.issuers.list());
    std::stable_partition(issuers.begin(), issuers.end(), [](const IssuerRecord& issuer) { return issuer.active; });
    for (const IssuerRecord& issuer : issuers) to_proto(issuer, *response->add_issuers());
    for (const WireCertificate& certificate : use_cases_.wire_certificates()) {
      if (response->wire_certificate().empty()) response->set_wire_certificate(to_octets(certificate.der));
      CAPF_TRY(to_proto(certificate, *response->add_wire_certificates()));
    }
    return {};
  });
}

grpc::Status AdminService::GetIssuer(grpc::ServerContext* context, const v1::GetIssuerRequest* request,
                                     v1::GetIssuerResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const service::IssuerView view, use_cases_.issuers.show(request->id()));
    to_proto(view, *response);
    return {};
  });
}

grpc::Status AdminService::AddIssuer(grpc::ServerContext* context, const v1::AddIssuerRequest* request,
                                     v1::AddIssuerResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(service::IssuerRequest wanted, take_issuer(*request));
    if (request->request_only()) {
      CAPF_LET(const Bytes der, use_cases_.issuers.make_request(call.actor, wanted));
      response->set_certification_request(std::string(as_text(der)));
      return {};
    }
    CAPF_LET(const IssuerRecord issuer, use_cases_.issuers.add(call.actor, std::move(wanted)));
    to_proto(issuer, *response->mutable_issuer());
    return {};
  });
}

grpc::Status AdminService::ActivateIssuer(grpc::ServerContext* context, const v1::ActivateIssuerRequest* request,
                                          v1::ActivateIssuerResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const IssuerRecord issuer, use_cases_.issuers.activate(call.actor, request->id(), request->force()));
    to_proto(issuer, *response->mutable_issuer());
    return {};
  });
}

grpc::Status AdminService::RetireIssuer(grpc::ServerContext* context, const v1::RetireIssuerRequest* request,
                                        v1::RetireIssuerResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const IssuerRecord issuer, use_cases_.issuers.retire(call.actor, request->id(), request->force()));
    to_proto(issuer, *response->mutable_issuer());
    return {};
  });
}

grpc::Status AdminService::AddAnchors(grpc::ServerContext* context, const v1::AddAnchorsRequest* request,
                                      v1::AddAnchorsResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::AnchorRequest anchors, anchors_from(*request));
    CAPF_LET(const auto outcomes, use_cases_.trust.add(call.actor, anchors));
    for (const service::AnchorOutcome& outcome : outcomes) to_proto(outcome, *response->add_outcomes());
    return {};
  });
}

grpc::Status AdminService::ListAnchors(grpc::ServerContext* context, const v1::ListAnchorsRequest* request,
                                       v1::ListAnchorsResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const std::vector<TrustAnchor> anchors, use_cases_.trust.list());
    for (const TrustAnchor& anchor : anchors) to_proto(anchor, *response->add_anchors());
    return {};
  });
}

grpc::Status AdminService::ListTrustCandidates(grpc::ServerContext* context,
                                               const v1::ListTrustCandidatesRequest* request,
                                               v1::ListTrustCandidatesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const std::vector<TrustCandidate> candidates, use_cases_.trust.candidates());
    for (const TrustCandidate& candidate : candidates) to_proto(candidate, *response->add_candidates());
    return {};
  });
}

grpc::Status AdminService::RemoveAnchor(grpc::ServerContext* context, const v1::RemoveAnchorRequest* request,
                                        v1::RemoveAnchorResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const TrustAnchor anchor, use_cases_.trust.remove(call.actor, request->sha256()));
    to_proto(anchor, *response->mutable_anchor());
    return {};
  });
}

grpc::Status AdminService::AddAdministrator(grpc::ServerContext* context, const v1::AddAdministratorRequest* request,
                                            v1::AddAdministratorResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const Role role, role_from(request->role()));
    const BytesView octets = as_bytes(request->certification_request());
    CAPF_LET(const auto added, use_cases_.administrators.add(call.actor, request->name(), role, octets));
    to_proto(added.administrator, *response->mutable_administrator());
    response->set_certificate(to_octets(added.certificate));
    for (const Bytes& certificate : added.chain) response->add_chain(to_octets(certificate));
    return {};
  });
}

grpc::Status AdminService::ListAdministrators(grpc::ServerContext* context,
                                              const v1::ListAdministratorsRequest* request,
                                              v1::ListAdministratorsResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const std::vector<Administrator> administrators, use_cases_.administrators.list());
    for (const Administrator& administrator : administrators) to_proto(administrator, *response->add_administrators());
    return {};
  });
}

grpc::Status AdminService::DisableAdministrator(grpc::ServerContext* context,
                                                const v1::DisableAdministratorRequest* request,
                                                v1::DisableAdministratorResponse*) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_TRY(check_administrator_name(request->name()));
    return use_cases_.administrators.disable(call.actor, request->name());
  });
}

grpc::Status AdminService::GetSite(grpc::ServerContext* context, const v1::GetSiteRequest* request,
                                   v1::GetSiteResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const service::SiteState state, use_cases_.recovery.look());
    to_proto(state, *response);
    return {};
  });
}

grpc::Status AdminService::RecoverSite(grpc::ServerContext* context, const v1::RecoverSiteRequest* request,
                                       v1::RecoverSiteResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::Confirmed confirmed, confirmed_from(*request));
    CAPF_LET(const service::Recovered recovered, use_cases_.recovery.run(call.actor, confirmed));
    to_proto(recovered, *response);
    return {};
  });
}

grpc::Status AdminService::ListAudit(grpc::ServerContext* context, const v1::ListAuditRequest* request,
                                     v1::ListAuditResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const Page page, page_from_either_end(request->page()));
    CAPF_LET(const AuditFilter filter, filter_from(*request));
    if (request->refusals()) {
      CAPF_LET(const auto refusals, use_cases_.records.refusals(filter, page));
      for (const RefusalCount& refusal : refusals) to_proto(refusal, *response->add_refusals());
      if (refusals.size() == static_cast<std::size_t>(page.limit)) {
        response->set_next_page_token(std::to_string(page.after + page.limit));
      }
      return {};
    }
    CAPF_LET(const std::vector<AuditEvent> events, use_cases_.records.list(filter, page));
    for (const AuditEvent& event : events) to_proto(event, *response->add_events());
    response->set_next_page_token(next_page_token(events, page));
    return {};
  });
}

grpc::Status AdminService::ListSeals(grpc::ServerContext* context, const v1::ListSealsRequest* request,
                                     v1::ListSealsResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const service::SealedPage page, use_cases_.records.seals(request->after()));
    for (const service::SealedBatch& batch : page.batches) to_proto(batch, *response->add_batches());
    response->set_unsealed(page.unsealed.count);
    response->set_made_up(page.unsealed.made_up);
    if (page.unsealed.oldest) to_proto(*page.unsealed.oldest, *response->mutable_oldest_unsealed());
    return {};
  });
}

}  // namespace capf::rpc
