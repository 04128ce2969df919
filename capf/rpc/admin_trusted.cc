#include "capf/rpc/admin.h"
#include "capf/rpc/convert.h"
#include "capf/service/trusted_certificates.h"

namespace capf::rpc {

grpc::Status AdminService::AddTrustedCertificate(grpc::ServerContext* context,
                                                 const v1::AddTrustedCertificateRequest* request,
                                                 v1::AddTrustedCertificateResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const auto wanted, trusted_certificate_from(*request));
    CAPF_LET(const auto added, use_cases_.trusted_certificates.add(call.actor, wanted));
    to_proto(added.certificate, *response->mutable_certificate());
    for (const std::string& warning : added.warnings) response->add_warnings(warning);
    return {};
  });
}

grpc::Status AdminService::ListTrustedCertificates(grpc::ServerContext* context,
                                                   const v1::ListTrustedCertificatesRequest* request,
                                                   v1::ListTrustedCertificatesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const Page page, from_proto(request->page()));
    CAPF_LET(const std::vector<TrustedCertificate> certificates, use_cases_.trusted_certificates.list(page));
    for (const TrustedCertificate& certificate : certificates) to_proto(certificate, *response->add_certificates());
    response->set_next_page_token(next_page_token(certificates, page));
    return {};
  });
}

grpc::Status AdminService::RemoveTrustedCertificate(grpc::ServerContext* context,
                                                    const v1::RemoveTrustedCertificateRequest* request,
                                                    v1::RemoveTrustedCertificateResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const TrustedCertificate removed, use_cases_.trusted_certificates.remove(call.actor, request->sha256()));
    to_proto(removed, *response->mutable_certificate());
    return {};
  });
}

}  // namespace capf::rpc
