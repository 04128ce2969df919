#pragma once

#include <string>

#include "capf/base/error.h"

namespace google::protobuf {
class Message;
}

namespace capf::client {

/// A message in protobuf's JSON. Errors: INVALID_REQUEST.
Status parse_json(const std::string& text, google::protobuf::Message& message);

}  // namespace capf::client
