#include "capf/rpc/admin.h"
#include "capf/rpc/convert.h"
#include "capf/service/profiles.h"
#include "capf/service/trust_lists.h"

namespace capf::rpc {

grpc::Status AdminService::AddProfile(grpc::ServerContext* context, const v1::AddProfileRequest* request,
                                      v1::AddProfileResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::NewProfile wanted, profile_from(*request));
    CAPF_LET(const service::ProfileView view, use_cases_.profiles.add(call.actor, wanted));
    to_proto(view, *response);
    return {};
  });
}

grpc::Status AdminService::SetProfile(grpc::ServerContext* context, const v1::SetProfileRequest* request,
                                      v1::SetProfileResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const ProfileChange change, change_from(*request));
    CAPF_LET(const service::ProfileEffect effect,
             request->dry_run() ? use_cases_.profiles.check(request->name(), change, request->allow_mixed())
                                : use_cases_.profiles.set(call.actor, request->name(), change, request->allow_mixed()));
    to_proto(effect, *response);
    return {};
  });
}

grpc::Status AdminService::RenameProfile(grpc::ServerContext* context, const v1::RenameProfileRequest* request,
                                         v1::RenameProfileResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const Profile profile, use_cases_.profiles.rename(call.actor, request->name(), request->new_name()));
    to_proto(profile, *response->mutable_profile());
    return {};
  });
}

grpc::Status AdminService::RemoveProfile(grpc::ServerContext* context, const v1::RemoveProfileRequest* request,
                                         v1::RemoveProfileResponse*) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    return use_cases_.profiles.remove(call.actor, request->name());
  });
}

grpc::Status AdminService::ListProfiles(grpc::ServerContext* context, const v1::ListProfilesRequest* request,
                                        v1::ListProfilesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const Page page, from_proto(request->page()));
    CAPF_LET(const auto profiles, use_cases_.profiles.list(page));
    for (const Profile& profile : profiles) to_proto(profile, *response->add_profiles());
    response->set_next_page_token(next_page_token(profiles, page));
    return {};
  });
}

grpc::Status AdminService::GetProfile(grpc::ServerContext* context, const v1::GetProfileRequest* request,
                                      v1::GetProfileResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const service::ProfileView view, use_cases_.profiles.show(request->name()));
    to_proto(view, *response);
    return {};
  });
}

grpc::Status AdminService::ApplyProfile(grpc::ServerContext* context, const v1::ApplyProfileRequest* request,
                                        v1::ApplyProfileResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::ApplyRequest apply, apply_from(*request));
    const Role role = call.administrator.role;
    CAPF_LET(const service::Bulk bulk, bulk_from(request->selection(), request->count(), request->cursor()));
    CAPF_LET(const service::ApplyAnswer answer, request->dry_run()
                                                    ? use_cases_.profiles.check_apply(role, bulk, apply)
                                                    : use_cases_.profiles.apply(call.actor, role, bulk, apply));
    to_proto(answer, use_cases_.clock.now(), *response);
    return {};
  });
}

grpc::Status AdminService::ChangePhoneSettings(grpc::ServerContext* context,
                                               const v1::ChangePhoneSettingsRequest* request,
                                               v1::ChangePhoneSettingsResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::OwnChange change, change_from(*request));
    CAPF_LET(const service::Bulk bulk, bulk_from(request->selection(), request->count(), request->cursor()));
    CAPF_LET(const service::OwnAnswer answer,
             use_cases_.profiles.change_own(call.actor, call.administrator.role, bulk, change));
    response->set_selected(answer.selected);
    response->set_changed(answer.changed);
    if (answer.next) response->set_cursor(to_text(*answer.next));
    return {};
  });
}

grpc::Status AdminService::GetEffectiveSettings(grpc::ServerContext* context,
                                                const v1::GetEffectiveSettingsRequest* request,
                                                v1::GetEffectiveSettingsResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const DeviceName device, DeviceName::parse(request->device()));
    CAPF_LET(const service::PhoneSettings found, use_cases_.profiles.effective(device));
    response->set_device(device.text());
    response->set_profile(found.phone.profile);
    response->set_mode(std::string(to_string(found.phone.mode)));
    response->set_effective_mode(std::string(to_string(found.phone.effective_mode)));
    response->set_mode_reason(reason_of(found.phone.mode_reason));
    to_proto(found.settings, *response->mutable_settings());
    return {};
  });
}

grpc::Status AdminService::SetSecurityMode(grpc::ServerContext* context, const v1::SetSecurityModeRequest* request,
                                           v1::SetSecurityModeResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const SiteMode mode, site_mode_from(request->mode()));
    if (mode == SiteMode::kMixed && !request->anyway()) CAPF_TRY(use_cases_.trust_lists.check_mixed());
    CAPF_LET(const service::SiteModeEffect effect, request->dry_run()
                                                       ? use_cases_.profiles.check_site_mode(mode)
                                                       : use_cases_.profiles.set_site_mode(call.actor, mode));
    response->set_mode(std::string(to_string(request->dry_run() ? effect.before : mode)));
    response->set_secure(effect.secure);
    response->set_changes(effect.changes);
    return {};
  });
}

}  // namespace capf::rpc
