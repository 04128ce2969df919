#pragma once

#include "capf/rpc/guard.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace capf::rpc {

/// grpc.health.v1: SERVING while this server is ready. Knows "", the whole server, and each of its services. A load
/// balancer has no certificate and asks /readyz instead.
class HealthService final : public grpc::health::v1::Health::Service {
 public:
  HealthService(Guard& guard, Readiness& readiness) : guard_(guard), readiness_(readiness) {}

  grpc::Status Check(grpc::ServerContext* context, const grpc::health::v1::HealthCheckRequest* request,
                     grpc::health::v1::HealthCheckResponse* response) override;
  grpc::Status Watch(grpc::ServerContext* context, const grpc::health::v1::HealthCheckRequest* request,
                     grpc::ServerWriter<grpc::health::v1::HealthCheckResponse>* writer) override;

 private:
  grpc::health::v1::HealthCheckResponse::ServingStatus status_of(const std::string& service);

  Guard& guard_;
  Readiness& readiness_;
  Limiter streams_{{.running = 16}};
};

}  // namespace capf::rpc
