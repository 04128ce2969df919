#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "capf/base/metrics.h"
#include "capf/service/published.h"
#include "capf/service/responder.h"
#include "capf/web/server.h"

namespace capf::web {

/// The objects that relying parties ask for.
struct Publication {
  const service::PublishedCrls& crls;
  /// The certificate of an issuer, DER; nothing where there is none.
  std::function<std::optional<Bytes>(std::int64_t issuer_id)> certificate;
  service::Responder& responder;
  std::chrono::seconds crl_max_age{60};  ///< how long caches may keep a CRL without asking again
  Metrics& metrics;
  std::function<bool()> ready = [] { return true; };  ///< whether this server serves; must not wait
};

/// GET and HEAD of /crl/<issuer>/<shard>.crl and /ca/<issuer>.cer, DER; in PEM with .pem in their place, or where
/// Accept asks for application/x-pem-file; with ETag and If-None-Match. OCSP by POST /ocsp, and by GET /ocsp/ with the
/// request in base64 behind it (RFC 6960 A.1). /livez, and /readyz for load balancers on other machines: 503 without
/// the reason, because anybody may ask here. `publication` is copied; the objects it refers to outlive the route.
LaterRoute publication_route(const Publication& publication);

}  // namespace capf::web
