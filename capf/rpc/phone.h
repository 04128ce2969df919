#pragma once

#include "capf/rpc/enrol.h"
#include "capf/rpc/guard.h"
#include "capf/service/enrolment.h"
#include "capf/v1/phone.grpc.pb.h"

namespace capf::rpc {

/// The methods of phones.
class PhoneService final : public v1::PhoneService::WithCallbackMethod_Enrol<v1::PhoneService::Service> {
 public:
  /// @param parts of the calls of Enrol
  PhoneService(Guard& guard, const EnrolParts& parts) : guard_(guard), enrolment_(parts.enrolment), parts_(parts) {}

  grpc::Status GetPendingOperation(grpc::ServerContext* context, const v1::GetPendingOperationRequest* request,
                                   v1::GetPendingOperationResponse* response) override;
  grpc::Status IssueCertificate(grpc::ServerContext* context, const v1::IssueCertificateRequest* request,
                                v1::IssueCertificateResponse* response) override;
  grpc::Status ConfirmCertificate(grpc::ServerContext* context, const v1::ConfirmCertificateRequest* request,
                                  v1::ConfirmCertificateResponse* response) override;
  grpc::Status DeleteCertificate(grpc::ServerContext* context, const v1::DeleteCertificateRequest* request,
                                 v1::DeleteCertificateResponse* response) override;
  grpc::Status HandOverCertificates(grpc::ServerContext* context, const v1::HandOverCertificatesRequest* request,
                                    v1::HandOverCertificatesResponse* response) override;
  grpc::Status ReportFailure(grpc::ServerContext* context, const v1::ReportFailureRequest* request,
                             v1::ReportFailureResponse* response) override;
  EnrolReactor* Enrol(grpc::CallbackServerContext* context) override;

 private:
  Guard& guard_;
  service::Enrolment& enrolment_;
  const EnrolParts parts_;
};

}  // namespace capf::rpc
