#pragma once

#include <optional>
#include <string_view>

#include <grpcpp/security/auth_context.h>

#include "capf/base/endpoint.h"
#include "capf/base/error.h"
#include "capf/service/caller.h"

namespace capf::rpc {

/// Address and port in what gRPC calls a peer: "ipv4:192.0.2.1:5060", "ipv6:%5B2001:db8::1%5D:5060" (the brackets and
/// the zone's '%' are percent-encoded). Errors: INVALID_REQUEST.
Result<Endpoint> peer_endpoint(std::string_view peer);

/// The client certificate of the TLS connection: TLS has proven its key and judged nothing. Nothing where the client
/// showed none. Errors: CERTIFICATE_MALFORMED, also for a chain that is too long.
Result<std::optional<service::PresentedCertificate>> presented_certificate(const grpc::AuthContext& context);

}  // namespace capf::rpc
