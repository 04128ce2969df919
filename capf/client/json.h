#pragma once

#include <string>

#include "capf/base/error.h"

namespace google::protobuf {
class Message;
}

namespace capf::client {

/// A message in protobuf's JSON, for our own programs; with names as in the .proto files, and every field.
std::string to_json_text(const google::protobuf::Message& message);
/// Errors: INVALID_REQUEST.
Status parse_json(const std::string& text, google::protobuf::Message& message);

}  // namespace capf::client
