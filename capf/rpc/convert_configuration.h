#pragma once

#include <string>
#include <vector>

#include "capf/service/configurations.h"
#include "capf/v1/configuration.pb.h"

namespace capf::rpc {

/// Takes the files out of the message and wipes them there, because they may have passwords.
std::vector<service::ImportedConfiguration> take_configurations(const v1::ImportConfigurationsRequest& request);
/// Errors: INVALID_REQUEST.
Result<files::Form> form_from(const std::string& text);
void to_proto(const service::ConfigurationImport& outcome, v1::ImportConfigurationsResponse& out);
void to_proto(const DeviceName& device, const service::ConfigurationView& view, v1::Configuration& out);

}  // namespace capf::rpc
