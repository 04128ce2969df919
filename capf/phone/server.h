#pragma once

#include <memory>

#include "capf/base/error.h"
#include "capf/client/site.h"
#include "capf/v1/phone.pb.h"

// What a phone calls: the methods of PhoneService.
#define CAPF_PHONE_CALLS(X) \
  X(GetPendingOperation)    \
  X(IssueCertificate) X(ConfirmCertificate) X(DeleteCertificate) X(HandOverCertificates) X(ReportFailure)

namespace capf::phone {

/// A connection of a phone with one client certificate, or none. Every call has a deadline, and is repeated with
/// growing pauses where the server is away or busy: all of them may be repeated.
class Server {
 public:
  /// @param tries how often a call is tried, at least 1
  Server(const client::Endpoint& endpoint, int tries);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

#define CAPF_PHONE_DECLARE(method) Result<v1::method##Response> call(const v1::method##Request& request);
  CAPF_PHONE_CALLS(CAPF_PHONE_DECLARE)
#undef CAPF_PHONE_DECLARE

 private:
  struct Stub;
  std::unique_ptr<Stub> stub_;
  int tries_;
};

}  // namespace capf::phone
