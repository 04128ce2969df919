#pragma once

#include <memory>
#include <string>
#include <vector>

#include "capf/rpc/admission/connection.h"
// gRPC must come last: see capf/net/asio.h.
#include <grpcpp/server_builder.h>

#include "capf/base/error.h"
#include "capf/base/metrics.h"

namespace capf::rpc {

/// Listens for a gRPC server, with a gate between it and each of its clients. Threads: any.
class Acceptor {
 public:
  /// Listens, but accepts no connection yet. @param addresses, proxies as in net::Acceptor. Errors:
  /// INVALID_CONFIGURATION.
  static Result<std::unique_ptr<Acceptor>> listen(const std::vector<std::string>& addresses,
                                                  const std::vector<Network>& proxies,
                                                  const net::ConnectionLimits& limits, Doorway& doorway,
                                                  Metrics& metrics);
  virtual ~Acceptor() = default;

  /// Accepts connections from now on, for a server that has started.
  virtual void open(std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> server) = 0;
  /// Stops listening; no connection takes a further call.
  virtual void close() = 0;
  /// Waits until the connections have ended; those of gRPC end after that.
  virtual void wait(std::chrono::milliseconds patience) = 0;
  /// Ends the threads: from then on no connection does anything, nor gives the judges a peer.
  virtual void stop() = 0;

  virtual int port() const = 0;
  virtual const std::vector<std::string>& addresses() const = 0;
};

}  // namespace capf::rpc
