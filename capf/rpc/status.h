#pragma once

#include <string>
#include <string_view>

#include <grpcpp/support/status.h>

#include "capf/base/error.h"
#include "capf/rpc/gate.h"

namespace capf::rpc {

/// What a caller reads of an error: gRPC's code for what can be done, the words, and in grpc-status-details-bin a
/// google.rpc.Status with ErrorInfo {reason, domain "capf"}, beside it RetryInfo where coming again helps.
/// `cause` is never in it.
///
///   conflict                 ABORTED
///   unavailable              UNAVAILABLE; OVERLOADED: RESOURCE_EXHAUSTED
///   outcome unknown          UNAVAILABLE: every request may be repeated, and finds out
///   others                   the code of the same name
grpc::Status to_grpc(const Error& error);

/// The same as the trailers of an answer without a message: what gRPC would send.
/// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
Gate::Fields trailers_of(const grpc::Status& status);

/// The text as protobuf takes it: what is not UTF-8 becomes U+FFFD, and so does every control character. At most
/// `limit` octets, cut between characters.
std::string to_utf8(std::string_view text, std::size_t limit = 65536);

}  // namespace capf::rpc
