#include "capf/client/json.h"

#include <google/protobuf/util/json_util.h>

namespace capf::client {

std::string to_json_text(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  CAPF_INVARIANT(google::protobuf::util::MessageToJsonString(message, &text, options).ok());
  return text;
}

Status parse_json(const std::string& text, google::protobuf::Message& message) {
  const auto status = google::protobuf::util::JsonStringToMessage(text, &message);
  if (!status.ok()) return fail(Reason::kInvalidRequest, "this is not JSON of the right form", status.ToString());
  return {};
}

}  // namespace capf::client
