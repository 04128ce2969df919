#include "capf/rpc/phone.h"

#include "capf/rpc/convert.h"

namespace capf::rpc {
namespace {

constexpr std::string_view kService = "capf.v1.PhoneService/";

template <class T>
Status status_of(const Result<T>& result) {
  if (!result) return fail(result.error());
  return {};
}

}  // namespace

grpc::Status PhoneService::GetPendingOperation(grpc::ServerContext* context,
                                               const v1::GetPendingOperationRequest* request,
                                               v1::GetPendingOperationResponse* response) {
  return guard_.phone(*context, {kService, __func__}, request->credential(),
                      [&](const service::Caller& caller) -> Status {
                        CAPF_LET(const rules::PendingAnswer answer, enrolment_.pending(caller));
                        response->set_authenticated(answer.authenticated);
                        if (answer.operation) to_proto(*answer.operation, *response->mutable_operation());
                        return {};
                      });
}

grpc::Status PhoneService::IssueCertificate(grpc::ServerContext* context, const v1::IssueCertificateRequest* request,
                                            v1::IssueCertificateResponse* response) {
  return guard_.phone(
      *context, {kService, __func__}, request->credential(), [&](const service::Caller& caller) -> Status {
        CAPF_LET(const rules::IssueAnswer answer, enrolment_.issue(caller, as_bytes(request->certification_request())));
        response->set_certificate(to_octets(answer.certificate));
        for (const Bytes& certificate : answer.chain) response->add_chain(to_octets(certificate));
        response->set_operation_id(answer.operation_id);
        return {};
      });
}

grpc::Status PhoneService::ConfirmCertificate(grpc::ServerContext* context,
                                              const v1::ConfirmCertificateRequest* request,
                                              v1::ConfirmCertificateResponse*) {
  const Result<Sha256> sha256 = to_sha256(as_bytes(request->sha256()));
  return guard_.phone(
      *context, {kService, __func__}, request->credential(),
      [&](const service::Caller& caller) { return enrolment_.confirm(caller, *sha256); }, status_of(sha256));
}

grpc::Status PhoneService::DeleteCertificate(grpc::ServerContext* context, const v1::DeleteCertificateRequest* request,
                                             v1::DeleteCertificateResponse* response) {
  return guard_.phone(*context, {kService, __func__}, request->credential(),
                      [&](const service::Caller& caller) -> Status {
                        CAPF_LET(const int revoked, enrolment_.give_up(caller));
                        response->set_revoked(revoked);
                        return {};
                      });
}

grpc::Status PhoneService::HandOverCertificates(grpc::ServerContext* context,
                                                const v1::HandOverCertificatesRequest* request,
                                                v1::HandOverCertificatesResponse*) {
  std::vector<Bytes> certificates;
  for (const std::string& der : request->certificates()) {
    const BytesView octets = as_bytes(der);
    certificates.emplace_back(octets.begin(), octets.end());
  }
  return guard_.phone(*context, {kService, __func__}, request->credential(),
                      [&](const service::Caller& caller) { return enrolment_.hand_over(caller, certificates); });
}

grpc::Status PhoneService::ReportFailure(grpc::ServerContext* context, const v1::ReportFailureRequest* request,
                                         v1::ReportFailureResponse*) {
  const Result<rules::PhoneFailure> failure = from_proto(request->failure());
  return guard_.phone(
      *context, {kService, __func__}, request->credential(),
      [&](const service::Caller& caller) { return enrolment_.report_failure(caller, *failure); }, status_of(failure));
}

EnrolReactor* PhoneService::Enrol(grpc::CallbackServerContext* context) {
  return serve_enrol(guard_.phone_stream(*context, {kService, __func__}), parts_);
}

}  // namespace capf::rpc
