#include "capf/rpc/health.h"

#include <algorithm>
#include <array>

#include "capf/rpc/admission/cutoff.h"

namespace capf::rpc {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

constexpr std::string_view kService = "grpc.health.v1.Health/";
constexpr std::chrono::milliseconds kBetweenLooks{1000};
constexpr std::array<std::string_view, 4> kServices{"", "capf.v1.PhoneService", "capf.v1.AdminService",
                                                    "capf.v1.MonitorService"};

}  // namespace

HealthCheckResponse::ServingStatus HealthService::status_of(const std::string& service) {
  if (std::find(kServices.begin(), kServices.end(), service) == kServices.end()) {
    return HealthCheckResponse::SERVICE_UNKNOWN;
  }
  return readiness_.check() ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

grpc::Status HealthService::Check(grpc::ServerContext* context, const HealthCheckRequest* request,
                                  HealthCheckResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    const auto status = status_of(request->service());
    if (status == HealthCheckResponse::SERVICE_UNKNOWN) return fail(Reason::kUnknownService);
    response->set_status(status);
    return {};
  });
}

grpc::Status HealthService::Watch(grpc::ServerContext* context, const HealthCheckRequest* request,
                                  grpc::ServerWriter<HealthCheckResponse>* writer) {
  return guard_.admin_stream(*context, {kService, __func__}, streams_, [&](Stream& stream) -> Status {
    HealthCheckResponse last;
    for (std::chrono::milliseconds wait{0};; wait = kBetweenLooks) {
      const Status open = stream.pause(wait);
      HealthCheckResponse now;
      now.set_status(status_of(request->service()));
      if (wait.count() == 0 || now.status() != last.status()) {
        if (!write_soon(*context, *writer, now)) return fail(Reason::kCallerGone);
        last = now;
      }
      CAPF_TRY(open);
    }
  });
}

}  // namespace capf::rpc
