#include "capf/domain/configuration.h"
#include "capf/rpc/admin.h"
#include "capf/rpc/convert.h"
#include "capf/rpc/convert_configuration.h"
#include "capf/service/configurations.h"

namespace capf::rpc {

grpc::Status AdminService::ImportConfigurations(grpc::ServerContext* context,
                                                const v1::ImportConfigurationsRequest* request,
                                                v1::ImportConfigurationsResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    const auto files = take_configurations(*request);
    CAPF_LET(const auto outcome, use_cases_.configurations.import(call.actor, files, request->dry_run()));
    to_proto(outcome, *response);
    return {};
  });
}

grpc::Status AdminService::RemoveConfigurations(grpc::ServerContext* context,
                                                const v1::RemoveConfigurationsRequest* request,
                                                v1::RemoveConfigurationsResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    const std::vector<std::string> names(request->names().begin(), request->names().end());
    CAPF_LET(const auto outcome, use_cases_.configurations.remove(call.actor, names));
    response->set_removed(outcome.removed);
    response->set_absent(outcome.absent);
    return {};
  });
}

grpc::Status AdminService::GetConfiguration(grpc::ServerContext* context, const v1::GetConfigurationRequest* request,
                                            v1::GetConfigurationResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const DeviceName device, DeviceName::parse(request->device()));
    CAPF_LET(const service::ConfigurationView view, use_cases_.configurations.show(device));
    to_proto(device, view, *response->mutable_configuration());
    response->set_before(view.before);
    response->set_after(view.after);
    return {};
  });
}

grpc::Status AdminService::CheckConfigurations(grpc::ServerContext* context,
                                               const v1::CheckConfigurationsRequest* request,
                                               v1::CheckConfigurationsResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const std::vector<DeviceName> devices, devices_from(request->devices()));
    if (devices.size() > kConfigurationsChecked) {
      return fail(Reason::kInvalidRequest,
                  "up to " + std::to_string(kConfigurationsChecked) + " devices are checked at once");
    }
    for (const DeviceName& device : devices) {
      CAPF_LET(const service::ConfigurationView view, use_cases_.configurations.check(device));
      to_proto(device, view, *response->add_configurations());
    }
    return {};
  });
}

grpc::Status AdminService::ExportConfiguration(grpc::ServerContext* context,
                                               const v1::ExportConfigurationRequest* request,
                                               v1::ExportConfigurationResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const DeviceName device, DeviceName::parse(request->device()));
    CAPF_LET(const files::Form form, form_from(request->form()));
    CAPF_LET(const Bytes file, use_cases_.configurations.make_export(device, form));
    response->set_name(service::configuration_name(device, form));
    response->set_file(std::string(as_text(file)));
    return {};
  });
}

}  // namespace capf::rpc
