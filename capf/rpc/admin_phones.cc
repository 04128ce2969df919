#include "capf/rpc/admin.h"
#include "capf/rpc/convert.h"
#include "capf/service/phones.h"

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
    CAPF_LET(const PhoneSelection selection, selection_from(request->selection()));
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

}  // namespace capf::rpc
