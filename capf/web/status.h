#pragma once

#include <functional>

#include "capf/base/metrics.h"
#include "capf/web/server.h"

namespace capf::web {

/// GET /metrics (Prometheus' text format), /livez (this process answers) and /readyz (it serves, by `ready`; 503 with
/// the reason otherwise). `metrics` outlives the route.
Route status_route(const Metrics& metrics, std::function<Status()> ready);

}  // namespace capf::web
