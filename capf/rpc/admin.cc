#include "capf/rpc/admin.h"

#include <algorithm>

#include "capf/rpc/convert.h"
#include "capf/service/addresses.h"
#include "capf/service/administrators.h"
#include "capf/service/certificates.h"
#include "capf/service/checker.h"
#include "capf/service/issuers.h"
#include "capf/service/operations.h"
#include "capf/service/phones.h"
#include "capf/service/records.h"
#include "capf/service/recovery.h"
#include "capf/service/trust.h"

namespace capf::rpc {

grpc::Status AdminService::AddPhones(grpc::ServerContext* context, const v1::AddPhonesRequest* request,
                                     v1::AddPhonesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const std::vector<service::NewPhone> phones, phones_from(*request));
    CAPF_TRY(use_cases_.phones.add(call.actor, phones));
    response->set_added(static_cast<int>(phones.size()));
    return {};
  });
}

grpc::Status AdminService::ListPhones(grpc::ServerContext* context, const v1::ListPhonesRequest* request,
                                      v1::ListPhonesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const PhonePage page, phone_page_from(request->page()));
    CAPF_LET(const PhoneSelection selection, selection_from(*request));
    CAPF_LET(const service::PhonesPage phones, use_cases_.phones.list(selection, page));
    to_proto(phones, *response);
    return {};
  });
}

grpc::Status AdminService::SelectPhones(grpc::ServerContext* context, const v1::SelectPhonesRequest* request,
                                        v1::SelectPhonesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const PhonePage page, phone_page_from(request->page()));
    CAPF_LET(const PhoneSelection selection, selection_from(request->selection()));
    CAPF_LET(const service::PhoneSelectionView view, use_cases_.phones.select(selection, page));
    response->set_count(view.count);
    to_proto(view.page, *response);
    return {};
  });
}

grpc::Status AdminService::ChangePhones(grpc::ServerContext* context, const v1::ChangePhonesRequest* request,
                                        v1::ChangePhonesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const PhoneChange change, change_from(*request));
    CAPF_LET(const service::Bulk bulk, bulk_from(request->selection(), request->count(), request->cursor()));
    CAPF_LET(const service::ChangeAnswer answer, use_cases_.phones.change(call.actor, bulk, change));
    to_proto(answer, *response);
    return {};
  });
}

grpc::Status AdminService::CheckImport(grpc::ServerContext* context, const v1::CheckImportRequest* request,
                                       v1::CheckImportResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const service::PhoneImport batch, import_from(request->phones(), request->update()));
    CAPF_LET(const service::ImportPlan plan, use_cases_.phones.check_import(batch));
    to_proto(plan.count, *response);
    for (const service::ImportProblem& problem : plan.problems) to_proto(problem, *response->add_problems());
    return {};
  });
}

grpc::Status AdminService::ImportPhones(grpc::ServerContext* context, const v1::ImportPhonesRequest* request,
                                        v1::ImportPhonesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::PhoneImport batch, import_from(request->phones(), request->update()));
    CAPF_LET(const service::ImportCount count, use_cases_.phones.import_phones(call.actor, batch));
    to_proto(count, *response);
    return {};
  });
}

grpc::Status AdminService::GetPhone(grpc::ServerContext* context, const v1::GetPhoneRequest* request,
                                    v1::GetPhoneResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const DeviceName device, DeviceName::parse(request->device()));
    CAPF_LET(const service::PhoneView view, use_cases_.phones.show(device));
    const TimePoint now = use_cases_.clock.now();
    to_proto(view.phone, *response->mutable_phone());
    if (view.operation) to_proto(*view.operation, now, *response->mutable_operation());
    for (const Certificate& certificate : view.certificates) {
      to_proto(certificate, now, WithDer::kYes, *response->add_certificates());
    }
    response->set_status(view.status);
    if (view.settings) to_proto(*view.settings, *response->mutable_settings());
    response->mutable_lines()->Assign(view.lines.begin(), view.lines.end());
    to_proto(view.digest, *response);
    if (view.fetched) to_proto(*view.fetched, *response->mutable_fetched());
    return {};
  });
}

grpc::Status AdminService::RemovePhone(grpc::ServerContext* context, const v1::RemovePhoneRequest* request,
                                       v1::RemovePhoneResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const DeviceName device, DeviceName::parse(request->device()));
    CAPF_LET(const int revoked, use_cases_.phones.remove(call.actor, device));
    response->set_revoked(revoked);
    return {};
  });
}

grpc::Status AdminService::BlockPhone(grpc::ServerContext* context, const v1::BlockPhoneRequest* request,
                                      v1::BlockPhoneResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const DeviceName device, DeviceName::parse(request->device()));
    CAPF_LET(const int revoked, use_cases_.phones.block(call.actor, device));
    response->set_revoked(revoked);
    return {};
  });
}

grpc::Status AdminService::UnblockPhone(grpc::ServerContext* context, const v1::UnblockPhoneRequest* request,
                                        v1::UnblockPhoneResponse*) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const DeviceName device, DeviceName::parse(request->device()));
    return use_cases_.phones.unblock(call.actor, device);
  });
}

grpc::Status AdminService::UnlockPhone(grpc::ServerContext* context, const v1::UnlockPhoneRequest* request,
                                       v1::UnlockPhoneResponse*) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const DeviceName device, DeviceName::parse(request->device()));
    return use_cases_.phones.unlock(call.actor, device, request->forget_mic());
  });
}

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

grpc::Status AdminService::TracePhone(grpc::ServerContext* context, const v1::TracePhoneRequest* request,
                                      v1::TracePhoneResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const DeviceName device, DeviceName::parse(request->device()));
    CAPF_LET(const service::TraceRequest trace, trace_from(*request));
    CAPF_LET(const std::optional<TimePoint> until, use_cases_.phones.trace(call.actor, device, trace));
    if (until) to_proto(*until, *response->mutable_until());
    return {};
  });
}

grpc::Status AdminService::RemovePhones(grpc::ServerContext* context, const v1::RemovePhonesRequest* request,
                                        v1::RemovePhonesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::Bulk bulk, bulk_from(request->selection(), request->count(), request->cursor()));
    CAPF_LET(const service::ChangeAnswer answer, use_cases_.phones.remove(call.actor, bulk));
    to_proto(answer, *response);
    response->set_revoked(answer.revoked);
    return {};
  });
}

grpc::Status AdminService::BlockPhones(grpc::ServerContext* context, const v1::BlockPhonesRequest* request,
                                       v1::BlockPhonesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::Bulk bulk, bulk_from(request->selection(), request->count(), request->cursor()));
    CAPF_LET(const service::ChangeAnswer answer, use_cases_.phones.block(call.actor, bulk));
    to_proto(answer, *response);
    response->set_revoked(answer.revoked);
    return {};
  });
}

grpc::Status AdminService::UnblockPhones(grpc::ServerContext* context, const v1::UnblockPhonesRequest* request,
                                         v1::UnblockPhonesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::Bulk bulk, bulk_from(request->selection(), request->count(), request->cursor()));
    CAPF_LET(const service::ChangeAnswer answer, use_cases_.phones.unblock(call.actor, bulk));
    to_proto(answer, *response);
    return {};
  });
}

grpc::Status AdminService::UnlockPhones(grpc::ServerContext* context, const v1::UnlockPhonesRequest* request,
                                        v1::UnlockPhonesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::Bulk bulk, bulk_from(request->selection(), request->count(), request->cursor()));
    CAPF_LET(const service::ChangeAnswer answer, use_cases_.phones.unlock(call.actor, bulk, request->forget_mic()));
    to_proto(answer, *response);
    return {};
  });
}

grpc::Status AdminService::TracePhones(grpc::ServerContext* context, const v1::TracePhonesRequest* request,
                                       v1::TracePhonesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::TraceRequest trace, trace_from(*request));
    CAPF_LET(const service::Bulk bulk, bulk_from(request->selection(), request->count(), request->cursor()));
    CAPF_LET(const service::ChangeAnswer answer, use_cases_.phones.trace(call.actor, bulk, trace));
    to_proto(answer, *response);
    if (answer.until) to_proto(*answer.until, *response->mutable_until());
    return {};
  });
}

grpc::Status AdminService::ScheduleOperations(grpc::ServerContext* context,
                                              const v1::ScheduleOperationsRequest* request,
                                              v1::ScheduleOperationsResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(service::ScheduleRequest schedule, schedule_from(*request));
    schedule.role = call.administrator.role;
    if (schedule.auth) CAPF_TRY(may_schedule(schedule.role, *schedule.auth));
    CAPF_LET(const service::ScheduleAnswer answer, use_cases_.operations.schedule(call.actor, schedule));
    const TimePoint now = use_cases_.clock.now();
    for (const service::Scheduled& scheduled : answer.operations) to_proto(scheduled, now, *response->add_operations());
    for (const std::string& warning : answer.warnings) response->add_warnings(warning);
    return {};
  });
}

grpc::Status AdminService::ListOperations(grpc::ServerContext* context, const v1::ListOperationsRequest* request,
                                          v1::ListOperationsResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const Page page, page_from_either_end(request->page()));
    CAPF_LET(const OperationFilter filter, filter_from(*request));
    CAPF_LET(const std::vector<Operation> operations, use_cases_.operations.list(filter, page));
    const TimePoint now = use_cases_.clock.now();
    for (const Operation& operation : operations) to_proto(operation, now, *response->add_operations());
    response->set_next_page_token(next_page_token(operations, page));
    return {};
  });
}

grpc::Status AdminService::GetOperation(grpc::ServerContext* context, const v1::GetOperationRequest* request,
                                        v1::GetOperationResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const DeviceName device, DeviceName::parse(request->device()));
    CAPF_LET(const Operation operation, use_cases_.operations.show(device));
    to_proto(operation, use_cases_.clock.now(), *response->mutable_operation());
    return {};
  });
}

grpc::Status AdminService::CancelOperation(grpc::ServerContext* context, const v1::CancelOperationRequest* request,
                                           v1::CancelOperationResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const DeviceName device, DeviceName::parse(request->device()));
    CAPF_LET(const Operation operation, use_cases_.operations.cancel(call.actor, device));
    to_proto(operation, use_cases_.clock.now(), *response->mutable_operation());
    return {};
  });
}

grpc::Status AdminService::ScheduleSelection(grpc::ServerContext* context, const v1::ScheduleSelectionRequest* request,
                                             v1::ScheduleSelectionResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(service::ScheduleBulk bulk, schedule_from(*request));
    bulk.plan.role = call.administrator.role;
    if (bulk.plan.auth) CAPF_TRY(may_schedule(bulk.plan.role, *bulk.plan.auth));
    if (request->bulk().dry_run()) {
      CAPF_LET(const service::BulkCheck check, use_cases_.operations.check_schedule(bulk));
      to_proto(check, *response);
      for (const std::string& warning : check.warnings) response->add_warnings(warning);
      to_proto(check.completes_by, *response->mutable_completes_by());
      return {};
    }
    CAPF_LET(const service::BulkScheduled answer, use_cases_.operations.schedule(call.actor, bulk));
    to_proto(answer, use_cases_.clock.now(), *response);
    return {};
  });
}

grpc::Status AdminService::CancelSelection(grpc::ServerContext* context, const v1::CancelSelectionRequest* request,
                                           v1::CancelSelectionResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::OperationBulk bulk, bulk_from(request->bulk()));
    if (request->bulk().dry_run()) {
      CAPF_LET(const service::BulkCheck check, use_cases_.operations.check_cancel(bulk));
      to_proto(check, *response);
      return {};
    }
    CAPF_LET(const service::BulkCancelled answer, use_cases_.operations.cancel(call.actor, bulk));
    to_proto(answer, use_cases_.clock.now(), *response);
    return {};
  });
}

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
