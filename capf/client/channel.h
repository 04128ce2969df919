#pragma once

#include <chrono>
#include <memory>

#include "capf/base/error.h"
#include "capf/client/site.h"

namespace grpc {
class Channel;
class Status;
}  // namespace grpc

namespace capf::client {

/// A connection of its own to `address`, one of the endpoint's, TLS 1.2 or later, with the certificate of `endpoint`;
/// made when it is first used. Where a name has several addresses, those that answer take calls in turn.
/// The library's own log is switched off unless GRPC_VERBOSITY is set.
std::shared_ptr<grpc::Channel> make_channel(const Endpoint& endpoint, const std::string& address);

/// The error with the server's reason from its google.rpc.ErrorInfo, or by gRPC's code alone: SERVER_NOT_REACHED where
/// no server answered. A reason that this build does not know is INTERNAL, with its spelling in the message.
Error to_error(const grpc::Status& status);

/// How long the server asks to wait before the call is repeated, by its google.rpc.RetryInfo; else nothing.
std::chrono::milliseconds retry_delay(const grpc::Status& status);

}  // namespace capf::client
