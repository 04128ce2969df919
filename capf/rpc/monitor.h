#pragma once

#include "capf/rpc/guard.h"
#include "capf/v1/monitor.grpc.pb.h"

namespace capf::rpc {

/// The methods that monitoring polls, and its stream.
class MonitorService final : public v1::MonitorService::Service {
 public:
  MonitorService(Guard& guard, const UseCases& use_cases) : guard_(guard), use_cases_(use_cases) {}

  grpc::Status ListPending(grpc::ServerContext* context, const v1::ListPendingRequest* request,
                           v1::ListPendingResponse* response) override;
  grpc::Status GetSummary(grpc::ServerContext* context, const v1::GetSummaryRequest* request,
                          v1::GetSummaryResponse* response) override;
  grpc::Status GetReadiness(grpc::ServerContext* context, const v1::GetReadinessRequest* request,
                            v1::GetReadinessResponse* response) override;
  grpc::Status ClassifyCall(grpc::ServerContext* context, const v1::ClassifyCallRequest* request,
                            v1::ClassifyCallResponse* response) override;
  grpc::Status WatchOperations(grpc::ServerContext* context, const v1::WatchOperationsRequest* request,
                               grpc::ServerWriter<v1::OperationChange>* writer) override;
  grpc::Status WatchSecurity(grpc::ServerContext* context, const v1::WatchSecurityRequest* request,
                             grpc::ServerWriter<v1::SecurityChange>* writer) override;

 private:
  /// Polls for changes; a notification of the database would only make this faster.
  /// @param read takes a cursor and a limit, returns a Result<vector>
  template <class Message, class Read>
  Status watch(grpc::ServerContext& context, const std::string& begin, Stream& stream,
               grpc::ServerWriter<Message>& writer, Read read);

  Guard& guard_;
  const UseCases& use_cases_;
  Limiter streams_{{.running = 16}};
  Limiter security_streams_{{.running = 16}};
};

}  // namespace capf::rpc
