#include "capf/rpc/call_status.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/json_util.h>

#include "capf/base/utf8.h"
#include "capf/rpc/access.h"
#include "capf/rpc/convert.h"

namespace capf::rpc {
namespace {

constexpr std::size_t kLongestCause = 200;

}  // namespace

Result<CallEnquiry> enquiry_from_json(std::string_view json) {
  if (find_not_utf8(json)) return fail(Reason::kInvalidRequest, "this is not JSON: it is not UTF-8");
  v1::ClassifyCallRequest request;
  const auto status = google::protobuf::util::JsonStringToMessage(std::string(json), &request);
  if (!status.ok()) {
    const std::string cause(status.message());
    return fail(Reason::kInvalidRequest,
                "this is not the JSON of a ClassifyCallRequest: " + std::string(cut(cause, kLongestCause)));
  }
  return enquiry_from(request);
}

Result<CallEnquiry> enquiry_of_device(std::string_view device) {
  CAPF_LET(const DeviceName name, DeviceName::parse(device));
  return CallEnquiry{.parties = {CallParty{PartyKind::kDevice, name.text()}}};
}

std::string to_json(const CallEnquiry& enquiry, const rules::CallAnswer& answer) {
  v1::ClassifyCallResponse response;
  to_proto(enquiry, answer, response);
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  CAPF_INVARIANT(google::protobuf::util::MessageToJsonString(response, &text, options).ok());
  return text;
}

Status may_classify_calls(Role role) {
  static const auto table = AccessTable::read(*google::protobuf::DescriptorPool::generated_pool(), kGuardedServices);
  if (!table) return fail(table.error());
  const Access* const access = table->find("capf.v1.MonitorService/ClassifyCall");
  CAPF_INVARIANT(access != nullptr);
  return may_call(*access, role);
}

}  // namespace capf::rpc
