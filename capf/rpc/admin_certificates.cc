#include "capf/rpc/admin.h"
#include "capf/rpc/convert.h"
#include "capf/service/certificates.h"
#include "capf/service/checker.h"
#include "capf/service/trust.h"

namespace capf::rpc {

grpc::Status AdminService::ListCertificates(grpc::ServerContext* context, const v1::ListCertificatesRequest* request,
                                            v1::ListCertificatesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const Page page, page_from_either_end(request->page()));
    CAPF_LET(const CertificateFilter filter, filter_from(*request));
    CAPF_LET(const std::vector<Certificate> certificates, use_cases_.certificates.list(filter, page));
    const TimePoint now = use_cases_.clock.now();
    for (const Certificate& certificate : certificates) {
      to_proto(certificate, now, WithDer::kNo, *response->add_certificates());
    }
    response->set_next_page_token(next_page_token(certificates, page));
    return {};
  });
}

grpc::Status AdminService::GetCertificate(grpc::ServerContext* context, const v1::GetCertificateRequest* request,
                                          v1::GetCertificateResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const std::string name, certificate_name_from(request->serial_or_device()));
    CAPF_LET(const service::CertificateView view, use_cases_.certificates.show(name));
    to_proto(view.certificate, use_cases_.clock.now(), WithDer::kYes, *response->mutable_certificate());
    for (const Bytes& certificate : view.chain) response->add_chain(to_octets(certificate));
    return {};
  });
}

grpc::Status AdminService::RevokeCertificates(grpc::ServerContext* context,
                                              const v1::RevokeCertificatesRequest* request,
                                              v1::RevokeCertificatesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const std::string name, certificate_name_from(request->serial_or_device()));
    CAPF_LET(const RevocationReason reason, revocation_reason_from(request->reason()));
    CAPF_LET(const service::RevokeAnswer answer, use_cases_.certificates.revoke(call.actor, name, reason));
    const TimePoint now = use_cases_.clock.now();
    for (const Certificate& certificate : answer.certificates) {
      to_proto(certificate, now, WithDer::kNo, *response->add_certificates());
    }
    response->set_device_blocked(answer.device_blocked);
    return {};
  });
}

grpc::Status AdminService::SelectCertificates(grpc::ServerContext* context,
                                              const v1::SelectCertificatesRequest* request,
                                              v1::SelectCertificatesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const Page page, from_proto(request->page()));
    CAPF_LET(const CertificateSelection selection, selection_from(request->selection(), request->reason()));
    CAPF_LET(const service::SelectionView view, use_cases_.certificates.select(selection, page));
    const TimePoint now = use_cases_.clock.now();
    response->set_count(view.count.certificates);
    response->set_devices(view.count.phones);
    for (const Certificate& certificate : view.page.rows) {
      to_proto(certificate, now, WithDer::kNo, *response->add_certificates());
    }
    if (view.page.next) response->set_next_page_token(std::to_string(*view.page.next));
    return {};
  });
}

grpc::Status AdminService::RevokeSelection(grpc::ServerContext* context, const v1::RevokeSelectionRequest* request,
                                           v1::RevokeSelectionResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::SelectionRequest selection, selection_from(*request));
    CAPF_LET(const service::SelectionAnswer answer, use_cases_.certificates.revoke_selection(call.actor, selection));
    response->set_revoked(answer.revoked);
    response->set_others(answer.others);
    response->set_devices_blocked(answer.devices_blocked);
    if (answer.next) response->set_cursor(to_text(*answer.next));
    return {};
  });
}

grpc::Status AdminService::RevokeKey(grpc::ServerContext* context, const v1::RevokeKeyRequest* request,
                                     v1::RevokeKeyResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const KeyDigests key, key_from(*request));
    CAPF_LET(const service::RevokeKeyAnswer answer, use_cases_.certificates.revoke_key(call.actor, key));
    const TimePoint now = use_cases_.clock.now();
    for (const Certificate& certificate : answer.certificates) {
      to_proto(certificate, now, WithDer::kNo, *response->add_certificates());
    }
    response->set_blocked_device(answer.blocked_device.value_or(""));
    return {};
  });
}

grpc::Status AdminService::ReleaseCertificates(grpc::ServerContext* context,
                                               const v1::ReleaseCertificatesRequest* request,
                                               v1::ReleaseCertificatesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const std::string name, certificate_name_from(request->serial_or_device()));
    CAPF_LET(const service::RevokeAnswer answer, use_cases_.certificates.release(call.actor, name));
    const TimePoint now = use_cases_.clock.now();
    for (const Certificate& certificate : answer.certificates) {
      to_proto(certificate, now, WithDer::kNo, *response->add_certificates());
    }
    return {};
  });
}

grpc::Status AdminService::BlockCertificates(grpc::ServerContext* context, const v1::BlockCertificatesRequest* request,
                                             v1::BlockCertificatesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    std::vector<Bytes> files;
    for (const std::string& file : request->certificates()) {
      files.emplace_back(as_bytes(file).begin(), as_bytes(file).end());
    }
    CAPF_LET(const auto blocked, use_cases_.trust.block(call.actor, files));
    for (const BlockedCertificate& certificate : blocked) to_proto(certificate, *response->add_certificates());
    return {};
  });
}

grpc::Status AdminService::UnblockCertificate(grpc::ServerContext* context,
                                              const v1::UnblockCertificateRequest* request,
                                              v1::UnblockCertificateResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const BlockedCertificate certificate, use_cases_.trust.unblock(call.actor, request->sha256()));
    to_proto(certificate, *response->mutable_certificate());
    return {};
  });
}

grpc::Status AdminService::ListBlockedCertificates(grpc::ServerContext* context,
                                                   const v1::ListBlockedCertificatesRequest* request,
                                                   v1::ListBlockedCertificatesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const Page page, from_proto(request->page()));
    CAPF_LET(const auto blocked, use_cases_.trust.blocked(page));
    for (const BlockedCertificate& certificate : blocked) to_proto(certificate, *response->add_certificates());
    response->set_next_page_token(next_page_token(blocked, page));
    return {};
  });
}

grpc::Status AdminService::VerifyCertificates(grpc::ServerContext* context,
                                              const v1::VerifyCertificatesRequest* request,
                                              v1::VerifyCertificatesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const service::CheckCursor cursor, cursor_from(*request));
    CAPF_LET(const service::CheckPage page, use_cases_.checker.check(cursor));
    to_proto(page, *response);
    return {};
  });
}

}  // namespace capf::rpc
