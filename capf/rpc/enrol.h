#pragma once

#include <botan/rng.h>
#include <grpcpp/support/server_callback.h>

#include "capf/base/log.h"
#include "capf/rpc/admission/workers.h"
#include "capf/rpc/enrolments.h"
#include "capf/rpc/guard.h"
#include "capf/service/enrolment.h"
#include "capf/v1/phone.pb.h"

namespace capf::rpc {

/// The parts that calls of Enrol use. They outlive the calls.
struct EnrolParts {
  service::Enrolment& enrolment;
  Enrolments& enrolments;
  Workers& messages;  ///< for messages, which wait there for their places
  Workers& checks;    ///< for what is asked while a phone is silent
  Workers& records;   ///< for what ends the calls of phones: thousands may end at once
  LogLimit& lost;     ///< of lines on records that found no room there or no time, or failed
  Botan::RandomNumberGenerator& random;
};

using EnrolReactor = grpc::ServerBidiReactor<v1::EnrolRequest, v1::EnrolResponse>;

/// Begins to serve a call of Enrol. A phone that makes its key holds no thread.
/// @return what gRPC is to be given; it ends with the call
EnrolReactor* serve_enrol(std::unique_ptr<PhoneStream> stream, const EnrolParts& parts);

}  // namespace capf::rpc
