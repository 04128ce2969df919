#pragma once

#include <string>
#include <string_view>

#include <grpcpp/support/status.h>

#include "capf/base/error.h"
#include "capf/rpc/admission/gate.h"

namespace capf::rpc {

/// An error as the caller gets it: gRPC's code for what the caller can do, the words, and in grpc-status-details-bin a
/// google.rpc.Status with ErrorInfo {reason, domain "capf"}, and RetryInfo where a retry helps. `cause` is never in it.
///
///   conflict                 ABORTED
///   unavailable              UNAVAILABLE; OVERLOADED: RESOURCE_EXHAUSTED
///   outcome unknown          UNAVAILABLE: every request may be repeated, and finds out
///   others                   the code of the same name
grpc::Status to_grpc(const Error& error);

/// The same as the trailers of an answer without a message: what gRPC would send.
/// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
Gate::Fields trailers_of(const grpc::Status& status);

/// The text in a form that protobuf accepts: octets that are not UTF-8 become U+FFFD, and so does every control
/// character. At most `limit` octets, cut between characters.
std::string to_utf8(std::string_view text, std::size_t limit = 65536);

}  // namespace capf::rpc
