#pragma once

#include <memory>
#include <vector>

#include <grpcpp/server_builder.h>

#include "capf/base/endpoint.h"
#include "capf/base/error.h"
#include "capf/base/metrics.h"
#include "capf/net/connections.h"

namespace capf::rpc {

/// Listens for a gRPC server, which by itself takes every connection that comes, and hands it those for which there is
/// a place. Costs a thread, and a second descriptor for each connection, by which its end is seen.
class Acceptor {
 public:
  /// Listens, and takes nothing yet. @param connections outlive it. Errors: INVALID_CONFIGURATION.
  static Result<std::unique_ptr<Acceptor>> listen(const std::vector<Endpoint>& endpoints, net::Connections& connections,
                                                  Metrics& metrics);
  virtual ~Acceptor() = default;

  /// Takes connections from now on, for a server that has started.
  virtual void open(std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> server) = 0;
  /// Listens no more. The connections that there are stay the server's.
  virtual void close() = 0;
};

}  // namespace capf::rpc
