#include "capf/client/json.h"

#include <google/protobuf/util/json_util.h>

namespace capf::client {

Status parse_json(const std::string& text, google::protobuf::Message& message) {
  const auto status = google::protobuf::util::JsonStringToMessage(text, &message);
  if (!status.ok()) return fail(Reason::kInvalidRequest, "this is not JSON of the right form", status.ToString());
  return {};
}

}  // namespace capf::client
