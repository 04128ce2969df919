#include "capf/rpc/archive.h"

#include <google/protobuf/util/json_util.h>

#include "capf/rpc/convert.h"

namespace capf::rpc {

Result<std::string> archive_line(const service::SealedBatch& batch) {
  v1::SealedBatch message;
  to_proto(batch, message);
  std::string line;
  if (!google::protobuf::util::MessageToJsonString(message, &line).ok() || line.find('\n') != std::string::npos) {
    return fail_internal("a sealed batch cannot be written as JSON");
  }
  return line;
}

Result<ArchivedSeal> archived_seal(std::string_view line) {
  v1::SealedBatch message;
  if (!google::protobuf::util::JsonStringToMessage(std::string(line), &message).ok()) {
    return fail(Reason::kInvalidRequest, "this is no line of an archived record");
  }
  const std::string& signature = message.seal().signature();
  return ArchivedSeal{message.seal().number(), Bytes(signature.begin(), signature.end())};
}

}  // namespace capf::rpc
