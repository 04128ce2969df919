#include "capf/rpc/reflection.h"

#include <set>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

namespace capf::rpc {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using grpc::reflection::v1alpha::ExtensionRequest;
using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;

constexpr std::string_view kService = "grpc.reflection.v1alpha.ServerReflection/";
constexpr std::chrono::seconds kLongestDialogue{60};
constexpr int kMostQuestions = 1000;

/// Adds the file and those that it imports, each once, the imported ones first.
void add_file(const FileDescriptor& file, std::set<std::string>& added, ServerReflectionResponse& response) {
  if (!added.insert(file.name()).second) return;
  for (int i = 0; i < file.dependency_count(); ++i) add_file(*file.dependency(i), added, response);
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  response.mutable_file_descriptor_response()->add_file_descriptor_proto(proto.SerializeAsString());
}

void set_error(grpc::StatusCode code, const std::string& message, ServerReflectionResponse& response) {
  response.mutable_error_response()->set_error_code(code);
  response.mutable_error_response()->set_error_message(message);
}

void set_file(const FileDescriptor* file, ServerReflectionResponse& response) {
  if (file == nullptr) return set_error(grpc::StatusCode::NOT_FOUND, "not found", response);
  std::set<std::string> added;
  add_file(*file, added, response);
}

const FileDescriptor* file_of_extension(const DescriptorPool& pool, const ExtensionRequest& request) {
  const auto* type = pool.FindMessageTypeByName(request.containing_type());
  const auto* extension = type ? pool.FindExtensionByNumber(type, request.extension_number()) : nullptr;
  return extension ? extension->file() : nullptr;
}

void set_extensions(const DescriptorPool& pool, const std::string& type_name, ServerReflectionResponse& response) {
  const auto* type = pool.FindMessageTypeByName(type_name);
  if (type == nullptr) return set_error(grpc::StatusCode::NOT_FOUND, "not found", response);
  auto& numbers = *response.mutable_all_extension_numbers_response();
  numbers.set_base_type_name(type_name);
  std::vector<const google::protobuf::FieldDescriptor*> extensions;
  pool.FindAllExtensions(type, &extensions);
  for (const auto* extension : extensions) numbers.add_extension_number(extension->number());
}

}  // namespace

ServerReflectionResponse ReflectionService::answer(const ServerReflectionRequest& request) const {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  ServerReflectionResponse response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kFileByFilename:
      set_file(pool.FindFileByName(request.file_by_filename()), response);
      break;
    case ServerReflectionRequest::kFileContainingSymbol:
      set_file(pool.FindFileContainingSymbol(request.file_containing_symbol()), response);
      break;
    case ServerReflectionRequest::kListServices:
      for (const std::string& name : services_)
        response.mutable_list_services_response()->add_service()->set_name(name);
      break;
    case ServerReflectionRequest::kFileContainingExtension:
      set_file(file_of_extension(pool, request.file_containing_extension()), response);
      break;
    case ServerReflectionRequest::kAllExtensionNumbersOfType:
      set_extensions(pool, request.all_extension_numbers_of_type(), response);
      break;
    case ServerReflectionRequest::MESSAGE_REQUEST_NOT_SET:
      set_error(grpc::StatusCode::INVALID_ARGUMENT, "nothing was asked", response);
      break;
  }
  return response;
}

grpc::Status ReflectionService::ServerReflectionInfo(
    grpc::ServerContext* context, grpc::ServerReaderWriter<ServerReflectionResponse, ServerReflectionRequest>* stream) {
  return guard_.short_stream(*context, {kService, __func__}, audience_, streams_, kLongestDialogue, [&]() -> Status {
    ServerReflectionRequest request;
    for (int i = 0; i < kMostQuestions && stream->Read(&request); ++i) {
      if (!stream->Write(answer(request))) break;
    }
    return {};
  });
}

}  // namespace capf::rpc
