#pragma once

#include <string>
#include <vector>

#include "capf/rpc/guard.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"

namespace capf::rpc {

/// Server reflection, for clients without the .proto files. Through the guard it checks the caller and bounds how many
/// streams hold a thread; gRPC's own does neither.
class ReflectionService final : public grpc::reflection::v1alpha::ServerReflection::Service {
 public:
  /// @param services full names
  ReflectionService(Guard& guard, Audience audience, std::vector<std::string> services)
      : guard_(guard), audience_(audience), services_(std::move(services)) {}

  grpc::Status ServerReflectionInfo(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<grpc::reflection::v1alpha::ServerReflectionResponse,
                               grpc::reflection::v1alpha::ServerReflectionRequest>* stream) override;

  /// One answer of the dialogue.
  grpc::reflection::v1alpha::ServerReflectionResponse answer(
      const grpc::reflection::v1alpha::ServerReflectionRequest& request) const;

 private:
  Guard& guard_;
  Audience audience_;
  std::vector<std::string> services_;
  Limiter streams_{{.running = 8}};
};

}  // namespace capf::rpc
