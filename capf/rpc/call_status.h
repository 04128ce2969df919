#pragma once

#include <string>
#include <string_view>

#include "capf/base/error.h"
#include "capf/domain/administrator.h"
#include "capf/domain/call.h"
#include "capf/rules/call.h"

// MonitorService.ClassifyCall for those who have HTTP and no gRPC: the same messages, in protobuf's JSON with the names
// of the .proto files.

namespace capf::rpc {

/// Errors: INVALID_REQUEST, with what is wrong and where; those of ClassifyCall.
Result<CallEnquiry> enquiry_from_json(std::string_view json);
/// Of a call with this device alone. Errors: INVALID_DEVICE_NAME.
Result<CallEnquiry> enquiry_of_device(std::string_view device);
std::string to_json(const CallEnquiry& enquiry, const rules::CallAnswer& answer);

/// Whether the role may call it. Errors: ROLE_DENIED; INTERNAL where the .proto files are at fault.
Status may_classify_calls(Role role);

}  // namespace capf::rpc
