#include "capf/rpc/admin.h"
#include "capf/rpc/admission/cutoff.h"
#include "capf/rpc/convert.h"
#include "capf/service/digest_users.h"

namespace capf::rpc {

grpc::Status AdminService::AddDigestUsers(grpc::ServerContext* context, const v1::AddDigestUsersRequest* request,
                                          v1::AddDigestUsersResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const auto generated,
             use_cases_.digest_users.add(call.actor, take_digest_users(*request), request->hash_only()));
    for (const service::DigestPassword& user : generated) to_proto(user, *response->add_generated());
    return {};
  });
}

grpc::Status AdminService::SetDigestPassword(grpc::ServerContext* context, const v1::SetDigestPasswordRequest* request,
                                             v1::SetDigestPasswordResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    const service::DigestPassword user = take_digest_password(*request);
    CAPF_LET(const Secret generated, use_cases_.digest_users.set_password(call.actor, user, request->hash_only()));
    response->set_generated(std::string(generated.text()));
    return {};
  });
}

grpc::Status AdminService::ListDigestUsers(grpc::ServerContext* context, const v1::ListDigestUsersRequest* request,
                                           v1::ListDigestUsersResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const Page page, from_proto(request->page()));
    CAPF_LET(const std::vector<DigestUser> users, use_cases_.digest_users.list(page));
    for (const DigestUser& user : users) to_proto(user, *response->add_users());
    response->set_next_page_token(next_page_token(users, page));
    return {};
  });
}

grpc::Status AdminService::GetDigestUser(grpc::ServerContext* context, const v1::GetDigestUserRequest* request,
                                         v1::GetDigestUserResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_TRY(check_digest_user(request->name()));
    CAPF_LET(const service::DigestUserView view, use_cases_.digest_users.show(request->name()));
    to_proto(view, *response);
    return {};
  });
}

grpc::Status AdminService::RevealDigestPassword(grpc::ServerContext* context,
                                                const v1::RevealDigestPasswordRequest* request,
                                                v1::RevealDigestPasswordResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_TRY(check_digest_user(request->name()));
    CAPF_LET(const Secret password, use_cases_.digest_users.reveal(call.actor, request->name()));
    response->set_password(std::string(password.text()));
    return {};
  });
}

grpc::Status AdminService::RemoveDigestUser(grpc::ServerContext* context, const v1::RemoveDigestUserRequest* request,
                                            v1::RemoveDigestUserResponse*) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_TRY(check_digest_user(request->name()));
    return use_cases_.digest_users.remove(call.actor, request->name());
  });
}

grpc::Status AdminService::ExportDigestUsers(grpc::ServerContext* context, const v1::ExportDigestUsersRequest*,
                                             grpc::ServerWriter<v1::DigestExportRow>* writer) {
  return guard_.admin_stream(*context, {kService, __func__}, exports_, [&](Stream& stream) -> Status {
    CAPF_TRY(use_cases_.digest_users.begin_export(stream.actor()));
    for (std::optional<DigestCursor> at = DigestCursor{}; at;) {
      CAPF_TRY(stream.pause(std::chrono::milliseconds{0}));
      CAPF_LET(const service::DigestExportPage page, use_cases_.digest_users.export_page(*at));
      for (const service::DigestExportRow& row : page.rows) {
        v1::DigestExportRow out;
        to_proto(row, out);
        const bool written = write_soon(*context, *writer, out);
        wipe(out);
        if (!written) return fail(Reason::kCallerGone);
      }
      at = page.next;
    }
    return {};
  });
}

grpc::Status AdminService::SetPhoneDigestUser(grpc::ServerContext* context,
                                              const v1::SetPhoneDigestUserRequest* request,
                                              v1::SetPhoneDigestUserResponse*) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const DeviceName device, DeviceName::parse(request->device()));
    std::optional<std::string> user;
    if (!request->user().empty()) user = request->user();
    if (user) CAPF_TRY(check_digest_user(*user));
    return use_cases_.digest_users.set_phone(call.actor, device, user);
  });
}

grpc::Status AdminService::LoginPhone(grpc::ServerContext* context, const v1::LoginPhoneRequest* request,
                                      v1::LoginPhoneResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const DeviceName device, DeviceName::parse(request->device()));
    CAPF_TRY(check_digest_user(request->user()));
    CAPF_LET(const std::string replaced, use_cases_.digest_users.log_in(call.actor, device, request->user()));
    response->set_replaced(replaced);
    return {};
  });
}

grpc::Status AdminService::LogoutPhone(grpc::ServerContext* context, const v1::LogoutPhoneRequest* request,
                                       v1::LogoutPhoneResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const DeviceName device, DeviceName::parse(request->device()));
    CAPF_LET(const std::string user, use_cases_.digest_users.log_out(call.actor, device));
    response->set_user(user);
    return {};
  });
}

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
